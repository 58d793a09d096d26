"""What every trainer is: a LightningModule that learns one task at a time."""

from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench import distributed
from cl_bench.backbones.transforms import ImageTransform
from cl_bench.batches import Batch, to_images
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.optimization import Optimization


class TaskTrainer(pl.LightningModule):
    """Fine-tunes the whole image encoder on one task after another, with a frozen zero-shot head.

    The loss is the cross-entropy of the scaled cosine similarities to the task's classes, as a mean over the global
    batch. A subclass says where tasks start, and changes whatever moment it wants to: `begin_task`, the ordinary
    `training_step`, `end_task`.

    Attributes:
        starts_from: `pretrained` or `previous`: the weights that a task starts from.
        leaves: Statistics that `end_task` can leave behind for mergers which require them.
    """

    starts_from: ClassVar[Literal["pretrained", "previous"]]
    leaves: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        encoder: nn.Module,
        head: Tensor,
        transform: ImageTransform,
        optimization: Optimization,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("head", head, persistent=False)
        self.register_buffer("class_masks", torch.ones(1, len(head), dtype=torch.bool), persistent=False)
        self.optimization = optimization
        self._transform = transform
        if compile:
            encoder.compile()

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """What is trained on, task by task."""
        return list(scenario.train_stream)

    def begin_task(self, weights: dict[str, Tensor], experience: Experience) -> None:
        """Takes the weights to start from and the task's classes."""
        self.encoder.load_state_dict(weights)
        self.encoder.requires_grad_(True).train()
        self.class_masks = experience.class_masks.to(self.head.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        return self.cross_entropy(self.logits(to_images(batch, self._transform)), batch)

    def logits(self, images: Tensor) -> Tensor:
        """(B, C) over all classes of the scenario."""
        return functional.linear(functional.normalize(self.encoder(images), dim=1), self.head)

    def cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean over the global batch, among the classes of each image's group.

        Processes may hold unequal shares of a batch, and their gradients are averaged: so the sum over this share is
        divided by the global size and multiplied by the number of processes.
        """
        allowed = logits.masked_fill(~self.class_masks[batch.groups], float("-inf"))
        total = functional.cross_entropy(allowed, batch.labels, reduction="sum")
        return total * (distributed.world_size() / batch.global_size)

    def end_task(self) -> dict[str, Tensor]:
        """The weights after the task, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.encoder.state_dict().items()}

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, gradient_clip_val: float | None, gradient_clip_algorithm: str | None
    ) -> None:
        """Limits the norm of the gradient."""
        # Lightning's own way refuses fused optimizers in mixed precision, because of a scaler that bfloat16 has not.
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.encoder.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> dict[str, Any]:
        """A fresh optimizer and a per-step schedule that ends with the task."""
        optimizer, schedule = self.optimization.build(
            self.encoder.parameters(), int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
