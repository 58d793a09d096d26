"""A linear probe."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.images.batches import Batch, encoded
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights


class HeadOnly(TaskTrainer):
    """Learns the head's rows of the task's classes, starting from the zero-shot rows; the encoder stays frozen at θ₀.

    A task's weights are the (C, D) head under the name `head`. So a task vector is what the task changed in the head.
    It is zero in the rows of other classes, which neither gradients nor weight decay reach. Logits are as in
    fine-tuning: rows times normalized features, without a bias. Learned rows may take any length. Rows are as long as
    CLIP's temperature, so they need a much larger learning rate than an encoder does.

    Source: linear probes of CLIP, Radford et al. 2021, arXiv 2103.00020. Differs from the publication in: AdamW on
    random crops, starting from the zero-shot rows, instead of L-BFGS starting from zero; cosine logits; no bias.
    """

    leaves: ClassVar[frozenset[str]] = frozenset()

    classes: Tensor  # (K,) int64: the task's

    def __init__(self, given: Given, starts_from: StartsFrom = "previous") -> None:
        super().__init__(given, starts_from)
        self.encoder.requires_grad_(False).eval()
        self.register_buffer("classes", torch.zeros(0, dtype=torch.int64), persistent=False)
        self.rows = nn.Parameter(self.head[self.classes])

    def load(self, weights: Weights) -> None:
        """Takes a head, and makes the rows of the task's classes trainable."""
        self.head.copy_(weights["head"])
        self.classes = self.class_masks.any(dim=0).nonzero().flatten()
        self.rows = nn.Parameter(self.head[self.classes])

    def weights(self) -> dict[str, Tensor]:
        """Copies the head to the CPU."""
        return {"head": self._learned_head().detach().cpu()}

    def trained(self) -> dict[str, nn.Parameter]:
        """Returns the rows of the task's classes."""
        return {"rows": self.rows}

    def task_loss(self, images: Tensor, batch: Batch) -> Tensor:
        """Returns the cross-entropy; nothing below the head needs a gradient."""
        with torch.no_grad():
            features = encoded(self.encoder, images)
        return self.cross_entropy(self.logits(features), batch)

    def logits(self, features: Tensor) -> Tensor:
        """Returns (B, C), over all classes of the scenario, from (B, D) features, with the rows as they are now."""
        return functional.linear(functional.normalize(features, dim=1), self._learned_head())

    def _learned_head(self) -> Tensor:
        return self.head.index_copy(0, self.classes, self.rows)
