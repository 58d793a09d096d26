"""CMM: tangent space, merging by second moments, refinement."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from cl_bench.backbones.linearized import Linearized
from cl_bench.images import batches
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.another_pass import another_pass
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.tangent import hold_back_constants

_LOSSES = {"l1": functional.l1_loss, "l2": functional.mse_loss}


class CMM(TaskTrainer):
    """Continual model merging: every task starts from the merged model, which is refined after each merge.

    1. A task is learned in the tangent space of θ₀, see `Tangent`.
    2. The merger makes one model of the merged one and the task's; `merger=cmm` by AdamW's second moments.
    3. From the second task on, the merged model is refined: in one more pass over the task's training images, in
       training's batches and crops, one layer learns to give the features, before normalization, that the merged
       model gave before this task, itself refined. The loss is the mean over images and features of the squared (l2)
       or absolute (l1) difference; AdamW with PyTorch's weight decay of 0.01, a constant learning rate, and the limit
       on the gradient's norm that training has. The refined model takes the place of the merged one.

    Each part can be left out: `tangent: false`, `merger.second_moments=false`, `refinement: null`.

    The refinement is done in single precision whatever training is done in: what it corrects is smaller than
    bfloat16's rounding.

    Source: Phan, Cha, Tran and Lei 2025, arXiv 2509.23592. The code released for domain-incremental streams merges
    without second moments, see `cl_bench.mergers.CMM`, and its one run (Office-31) has no refinement: its learning rate
    is 0. For Stanford Cars, lines that are commented out ask for the l1 loss; here it has l2, as all others.

    Differs from the publication in: the published code finds the refined layer by its shape, 768 × 512, which in
    ViT-B/16 is the same one.

    Args:
        given: What every trainer is given.
        tangent: Whether tasks are learned in the tangent space, or as in ordinary fine-tuning.
        checkpointing: In the tangent space: whether activations are computed again in the backward pass.
        refinement: Its loss; None: no refinement.
        refinement_lr: Its learning rate.
        refined: Name of the layer that it changes, a parameter of the encoder.
        starts_from: The weights that a task starts from.

    Raises:
        UserError: The encoder has no parameter of the name `refined`.
    """

    # Not `grams`: what f_lin is linear in are θ as a whole, not what its layers read.
    leaves: ClassVar[frozenset[str]] = TaskTrainer.leaves - {"grams"}

    def __init__(
        self,
        given: Given,
        tangent: bool = True,
        checkpointing: bool = False,
        refinement: Literal["l1", "l2"] | None = "l2",
        refinement_lr: Annotated[float, Field(ge=0)] = 1e-7,
        refined: str = "proj",
        starts_from: StartsFrom = "merged",
    ) -> None:
        if refinement is not None and refined not in dict(given.encoder.named_parameters()):
            raise UserError(
                f"trainer.refined={refined} is no parameter of the image encoder; trainer.refined=proj, say."
            )
        encoder = Linearized(given.encoder, checkpointing) if tangent else given.encoder
        super().__init__(replace(given, encoder=encoder), starts_from)
        if tangent:
            hold_back_constants(self)
        self._refinement, self._lr, self._refined = refinement, refinement_lr, refined
        self.refines = refinement is not None

    def refine(self, experience: Experience, previous: Weights, merged: Weights) -> dict[str, torch.Tensor]:
        """The refined layer of the merged model, by name, on the CPU."""
        target = {name: tensor.to(self.device) for name, tensor in previous.items()}
        self.encoder.load_state_dict(merged)
        self.encoder.requires_grad_(False).eval()
        layer = self.encoder.get_parameter(self._refined).requires_grad_(True)
        optimizer = torch.optim.AdamW([layer], lr=self._lr)
        size, seed = self.optimization.batch_size, torch.initial_seed()
        for batch in another_pass(experience.samples, seed, size, self.transform, self.device, "refinement"):
            (layer.grad,) = torch.autograd.grad(self._mismatch(batch, target), [layer])
            distributed.average(layer.grad)
            if self.optimization.gradient_clip is not None:
                nn.utils.clip_grad_norm_([layer], self.optimization.gradient_clip)
            optimizer.step()
        return {self._refined: layer.detach().cpu().clone()}

    def _mismatch(self, batch: batches.Batch, target: Weights) -> torch.Tensor:
        images = batches.to_images(batch, self.transform)
        with torch.no_grad():
            wanted = batches.encoded(lambda some: functional_call(self.encoder, dict(target), (some,)), images)
        features = batches.encoded(self.encoder, images)
        total = _LOSSES[self._refinement](features, wanted, reduction="sum")
        return self.mean(total / features.shape[1], batch)
