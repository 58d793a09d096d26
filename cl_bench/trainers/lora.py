"""Low-rank updates."""

import logging
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_bench.backbones.plain_attention import plain_attention
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.base.unfinished import UnfinishedTask

log = logging.getLogger(__name__)

_ADAPTER = "task"  # peft tells several apart by name

# The same layers where timm built the tower: attentions are made of linear layers, some with separate queries and keys.
_IN_TIMM = {
    "attn": ("attn.qkv", "attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.proj"),
    "mlp.c_fc": ("mlp.fc1", "mlp.fc1_g", "mlp.fc1_x"),
    "mlp.c_proj": ("mlp.fc2",),
}


class LoRA(TaskTrainer):
    """Learns a low-rank update of linear layers, W = W_start + (alpha / rank) · B · A; all else is frozen.

    Every task gets fresh adapters, A random and B zero, on the weights that it starts from. After the task, the updates
    are added to these weights. So a task's weights are those of a whole encoder, as stores and mergers expect.

    Source: Hu et al. 2021, arXiv 2106.09685, through the `peft` library. Differs from the publication in: by default,
    all linear layers of the blocks are adapted, not only those of queries and values. Queries, keys and values are one
    matrix in open_clip and share one A. Entries of A are uniform (within Kaiming's bound, as in the authors' code)
    instead of Gaussian. An attention's updates have no dropout.

    Args:
        given: What every trainer is given.
        rank: Number of rows of A and of columns of B.
        alpha: Scales the update by alpha / rank.
        dropout: Dropout of what an adapter reads, except in attentions.
        targets: Ends of the names of the layers to adapt: linear layers, and attentions as a whole. Open_clip's names
            of a block's layers stand for timm's of the same layers, too.
        starts_from: The weights that a task starts from.

    Raises:
        UserError: `peft` is not installed, or the encoder has none of these layers, or uses the weight of one without
            calling it.
    """

    leaves: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        given: Given,
        rank: Annotated[int, Field(ge=1)] = 8,
        alpha: Annotated[float, Field(gt=0)] = 8,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        targets: tuple[str, ...] = ("attn", "mlp.c_fc", "mlp.c_proj"),
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        _peft()
        layers = _layers(self.encoder, targets)
        _check_called(self.encoder, layers, given.transform.size)
        self._adapt = partial(_adapt, self.encoder, rank=rank, alpha=alpha, dropout=dropout, layers=layers)
        self._logged = False

    def begin_task(
        self, weights: Weights, experience: Experience, steps: int, resumed: UnfinishedTask | None = None
    ) -> None:
        """Puts adapters into the encoder: fresh ones, or those of the run that was stopped within the task."""
        super().begin_task(weights, experience, steps)
        self._adapted = self._adapt()
        if resumed:
            self._resumed, self.within_task = resumed, dict(resumed.within_task)
            self.head_rows.begin(self.head, self.class_masks, self.within_task)
            self.encoder.load_state_dict(resumed.weights, strict=False)
        if not self._logged:
            log.info("lora: a task learns %s numbers", f"{sum(p.numel() for p in self.trained().values()):,}")
            self._logged = True

    def unfinished(self, step: int, seconds: float) -> UnfinishedTask:
        """Returns the adapters alone after `step` steps, since all else is as the task began."""
        return self._after(step, seconds, self.trained())

    def end_task(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Takes the adapters out and adds the updates to the weights."""
        updates = dict(self._updates())
        self._adapted.unload()
        del self._adapted
        for name, update in updates.items():
            self.encoder.get_parameter(name).data.add_(update)
        return super().end_task()

    @torch.no_grad()
    def _updates(self) -> Iterator[tuple[str, Tensor]]:
        """Yields (alpha / rank) · B · A, by name of the weight in the encoder itself."""
        layer: Any  # peft's, where it has an update
        for name, layer in self.encoder.named_modules():
            if hasattr(layer, "get_delta_weight"):
                weight = "in_proj_weight" if hasattr(layer, "in_proj_weight") else "weight"
                yield f"{name}.{weight}".replace(".base_layer", ""), layer.get_delta_weight(_ADAPTER)


def _adapt(encoder: nn.Module, rank: int, alpha: float, dropout: float, layers: list[str]) -> Any:
    """Puts fresh adapters into the encoder and freezes all else; returns peft's view of it, which takes them out."""
    peft = _peft()
    from cl_bench.trainers.parts.lora_attention import Attention

    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=layers)
    config._register_custom_module({nn.MultiheadAttention: Attention})
    return peft.LoraModel(encoder, config, _ADAPTER)


def _peft() -> ModuleType:
    try:
        import peft  # brings transformers, and takes seconds
    except ImportError as error:
        raise UserError(f"trainer=lora needs the package peft: {install_extra('lora')}") from error
    return peft


def _layers(encoder: nn.Module, targets: tuple[str, ...]) -> list[str]:
    """Returns the names of the layers that the targets mean."""
    known = list(_adaptable(encoder))
    found = {target: [name for name in known if _is_meant(name, target)] for target in targets}
    if not known:
        raise UserError(
            "trainer=lora adapts linear layers and attentions, of which the encoder has none; choose another trainer."
        )
    if not targets or not all(found.values()):
        ends = ", ".join(sorted({name.rpartition(".")[2] for name in known}))
        missing = ", ".join(target for target in targets if not found[target]) or "nothing"
        raise UserError(f"trainer.targets names {missing}; the encoder's linear layers and attentions are: {ends}.")
    return [name for name in known if any(name in names for names in found.values())]


def _is_meant(name: str, target: str) -> bool:
    return f".{name}".endswith(tuple(f".{end}" for end in (target, *_IN_TIMM.get(target, ()))))


def _check_called(encoder: nn.Module, layers: list[str], size: int) -> None:
    """Lets the encoder encode a black image: what an encoder does not call, an adapter around it cannot change."""
    called: set[str] = set()
    hooks = [
        encoder.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: called.add(name)) for name in layers
    ]
    was_training = encoder.training
    try:
        with torch.no_grad(), plain_attention():
            encoder.eval()(torch.zeros(1, 3, size, size).to(next(encoder.parameters())))
    finally:
        encoder.train(was_training)
        for hook in hooks:
            hook.remove()
    if left := [name for name in layers if name not in called]:
        raise UserError(
            f"trainer=lora cannot adapt {shortened(left)}: the encoder uses the weights without calling the layers. "
            "Leave them out of trainer.targets=[…]."
        )


def _adaptable(encoder: nn.Module) -> Iterator[str]:
    attentions = {name: m for name, m in encoder.named_modules() if isinstance(m, nn.MultiheadAttention)}
    within = {f"{name}.out_proj" for name in attentions}  # goes with its attention, which reads its weight
    yield from (name for name, attention in attentions.items() if attention.in_proj_weight is not None)
    yield from (name for name, m in encoder.named_modules() if isinstance(m, nn.Linear) and name not in within)
