"""CMM: tangent space, merging by second moments, refinement."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from cl_bench.backbones.last_layer import last_layer
from cl_bench.backbones.linearized import Linearized
from cl_bench.images import batches
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.another_pass import another_pass
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.tangent import hold_back_constants

log = logging.getLogger(__name__)

_LOSSES: Mapping[str, Callable[..., torch.Tensor]] = {"l1": functional.l1_loss, "l2": functional.mse_loss}


class CMM(TaskTrainer):
    """Starts every task from the merged model, and refines the merged model after each merge: continual model merging.

    1. The task is learned in the tangent space of θ₀, see `Tangent`.
    2. The merger merges the task's model into the merged one; `merger=cmm` weighs both by AdamW's second moments.
    3. From the second task on, the merged model is refined. In one more pass over the task's training images, in
       training's batches and crops, one layer learns to return the features, before normalization, that the merged and
       refined model returned before this task. The loss is the mean of the squared (l2) or absolute (l1) difference
       over images and features. The optimizer is AdamW with PyTorch's weight decay of 0.01 and a constant learning
       rate; the gradient's norm is limited as in training. The refined model then replaces the merged one.

    Each part can be left out: `tangent: false`, `merger.second_moments=false`, `refinement: null`.

    Refinement always computes in single precision: what it corrects is smaller than bfloat16's rounding. Even float32
    loses steps of the published 1e-7 where weights are 2 or larger, as those of a last normalization may be; a run
    warns of that.

    Source: Phan, Cha, Tran and Lei 2025, arXiv 2509.23592. The code that was released for domain-incremental streams
    merges without second moments, see `cl_bench.mergers.CMM`, and its one run (Office-31) does not refine: the learning
    rate is 0. For Stanford Cars, lines of that code that are commented out name the l1 loss; here all use l2.

    Differs from the publication in: the published code finds the refined layer by its shape, 768 × 512; in ViT-B/16
    that is the same layer. An encoder without a projection is not in the publication: there, the last layer that makes
    the features is refined, see `last_layer`.

    Args:
        given: What every trainer is given.
        tangent: Whether tasks are learned in the tangent space; if not, by ordinary fine-tuning.
        checkpointing: In the tangent space: whether the backward pass computes activations again, to save memory.
        refinement: The loss of the refinement; None: no refinement.
        refinement_lr: The learning rate of the refinement.
        refined: Name of the parameter of the encoder that the refinement changes; None: those of its last layer.
        starts_from: The weights that a task starts from.

    Raises:
        UserError: The encoder has no parameter of the name `refined`, or none that makes its features.
    """

    # Not `grams`: f_lin is linear in θ as a whole, not layer by layer in what a layer reads.
    leaves: ClassVar[frozenset[str]] = TaskTrainer.leaves - {"grams"}

    def __init__(
        self,
        given: Given,
        tangent: bool = True,
        checkpointing: bool = False,
        refinement: Literal["l1", "l2"] | None = "l2",
        refinement_lr: Annotated[float, Field(ge=0)] = 1e-7,
        refined: str | None = "proj",
        starts_from: StartsFrom = "merged",
    ) -> None:
        self._refined = [] if refinement is None else _refined_layer(given, refined)
        encoder = Linearized(given.encoder, checkpointing) if tangent else given.encoder
        super().__init__(replace(given, encoder=encoder), starts_from)
        if tangent:
            hold_back_constants(self)
        self._lr = refinement_lr
        self._difference = _LOSSES[refinement or "l2"]
        self.refines = refinement is not None

    def refine(self, experience: Experience, previous: Weights, merged: Weights) -> dict[str, torch.Tensor]:
        """Returns the refined layer of the merged model, by name, on the CPU."""
        target = {name: tensor.to(self.device) for name, tensor in previous.items()}
        self.encoder.load_state_dict(merged)
        self.encoder.requires_grad_(False).eval()
        layer = [self.encoder.get_parameter(name).requires_grad_(True) for name in self._refined]
        optimizer = torch.optim.AdamW(layer, lr=self._lr)
        size, seed = self.optimization.batch_size, torch.initial_seed()
        for batch in another_pass(experience.samples, seed, size, self.transform, self.device, "refinement"):
            gradients = torch.autograd.grad(self._mismatch(batch, target), layer)
            for parameter, gradient in zip(layer, gradients, strict=True):
                parameter.grad = gradient
                distributed.average(gradient)
            if self.optimization.gradient_clip is not None:
                nn.utils.clip_grad_norm_(layer, self.optimization.gradient_clip)
            optimizer.step()
        refined = {name: tensor.detach().cpu().clone() for name, tensor in zip(self._refined, layer, strict=True)}
        self._warn_of_rounding(merged, refined)
        return refined

    def _warn_of_rounding(self, merged: Weights, refined: Weights) -> None:
        """In float32, weights of 2 and more stay what they are after steps of 1e-7, whatever their number."""
        moved = sum(int((refined[name] != merged[name].cpu()).sum()) for name in refined)
        share = moved / sum(tensor.numel() for tensor in refined.values())
        if self._lr > 0 and share < 0.5 and distributed.is_main():
            log.warning(
                "refinement changed %.0f %% of the numbers in %s: steps of trainer.refinement_lr=%g are lost in the "
                "rounding of weights so large; raise it, or leave refinement out with trainer.refinement=null",
                *(100 * share, ", ".join(refined), self._lr),
            )

    def _mismatch(self, batch: batches.Batch, target: Weights) -> torch.Tensor:
        images = batches.to_images(batch, self.transform)
        with torch.no_grad():
            wanted = batches.encoded(lambda some: functional_call(self.encoder, dict(target), (some,)), images)
        features = batches.encoded(self.encoder, images)
        total = self._difference(features, wanted, reduction="sum")
        return self.mean(total / features.shape[1], batch)


def _refined_layer(given: Given, refined: str | None) -> list[str]:
    if refined is None:
        if not (names := last_layer(given.encoder, given.transform.size)):
            raise UserError("No parameter of the image encoder makes its features; trainer.refinement=null.")
        return names
    if refined not in dict(given.encoder.named_parameters()):
        raise UserError(
            f"trainer.refined={refined} is no parameter of the image encoder; trainer.refined=null for its last layer."
        )
    return [refined]
