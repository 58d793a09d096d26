"""Learning without forgetting."""

import copy
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cl_bench.images.batches import Batch, encoded
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights


class LwF(TaskTrainer):
    """Keeps every task's answers for earlier classes close to those of a teacher: the model after the previous task.

    From the second task on, the loss is cross-entropy + strength · KD, where KD is the mean of -Σ_c p'_c log p_c over
    the batch. c runs over the classes of all earlier tasks, p = softmax(logits / T) is the model's, and p' that of the
    frozen teacher. Where every task has all classes (domain-incremental), KD covers all of them.

    Source: Li and Hoiem 2016, arXiv 1606.09282; in this form with MagMax, arXiv 2407.06322.

    Differs from the publication in: the published code adds 1e-5 / (number of earlier classes) to p before the
    logarithm, and its teacher is not in evaluation mode, which changes nothing in a CLIP ViT.

    Args:
        given: What every trainer is given.
        strength: λ of KD.
        temperature: T, of both models.
        starts_from: The weights that a task starts from. The teacher always is the previous model.
    """

    earlier: Tensor  # (K,) int64: the classes of all earlier tasks

    def __init__(
        self,
        given: Given,
        strength: Annotated[float, Field(ge=0)] = 0.3,
        temperature: Annotated[float, Field(gt=0)] = 2.0,
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        self._strength, self._temperature = strength, temperature
        teacher = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        if given.compile:
            teacher.compile()
        # A tuple hides the teacher from this module: from its weights, its optimizer and its process group.
        self._teacher = (teacher,)
        self.register_buffer("earlier", torch.zeros(0, dtype=torch.int64), persistent=False)

    def on_train_start(self) -> None:
        """Moves the teacher to the device."""
        if len(self.earlier):
            self._teacher[0].to(self.device)

    def task_loss(self, images: Tensor, batch: Batch) -> Tensor:
        """Returns the cross-entropy on the task's classes and KD on the earlier ones."""
        logits = self.logits(encoded(self.encoder, images))
        loss = self.cross_entropy(logits, batch)
        if len(self.earlier):
            loss = loss + self._strength * self._distillation(logits, images, batch)
        return loss

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Makes the model after the task the teacher, and adds the task's classes to the earlier ones."""
        self._teacher[0].load_state_dict(weights)
        classes = experience.class_masks.any(dim=0).nonzero().flatten().to(self.earlier)
        self.earlier = torch.unique(torch.cat([self.earlier, classes]))

    def _distillation(self, logits: Tensor, images: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad():
            old = functional.softmax(self._softened(self.logits(encoded(self._teacher[0], images))), dim=1)
        new = functional.log_softmax(self._softened(logits), dim=1)
        return self.mean(-(old * new).sum(), batch)

    def _softened(self, logits: Tensor) -> Tensor:
        return logits[:, self.earlier] / self._temperature
