"""Counts correct answers, task by task, in one pass over the images and over any number of processes."""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

Kind = Literal["task_agnostic", "task_aware"]


# An ordinary class: in a NamedTuple or a dataclass, torchmetrics would squeeze the tensors where T is 1.
class Counts:
    """How many images of each task one model classified correctly; each (T,) int64, on the CPU.

    Args:
        agnostic_correct: Images whose class has the largest logit among all classes.
        aware_correct: Images whose class has the largest logit among the task's classes.
        total: All images of tasks of which the head has a class.
        without_row: Those among them whose own class the head does not have, so that they count as wrong; None: none.
    """

    def __init__(
        self, agnostic_correct: Tensor, aware_correct: Tensor, total: Tensor, without_row: Tensor | None = None
    ) -> None:
        self.agnostic_correct = agnostic_correct
        self.aware_correct = aware_correct
        self.total = total
        self.without_row = torch.zeros_like(total) if without_row is None else without_row

    def matrix_row(self, kind: Kind) -> Tensor:
        """(T,) float64: the accuracy on each task in percent; NaN for a task without images."""
        return 100 * self._correct(kind) / self.total.double()

    def pooled(self, kind: Kind) -> float:
        """The accuracy in percent over all images together; NaN where there are none."""
        return float(100 * self._correct(kind).sum() / self.total.sum().double())

    def _correct(self, kind: Kind) -> Tensor:
        return self.agnostic_correct if kind == "task_agnostic" else self.aware_correct


class TaskAccuracy(Metric):
    """Counts both kinds of accuracy of one model, task by task, from the same logits.

    Args:
        tasks: T.
    """

    full_state_update = False
    agnostic_correct: Tensor
    aware_correct: Tensor
    total: Tensor
    without_row: Tensor

    def __init__(self, tasks: int) -> None:
        super().__init__()
        for name in ("agnostic_correct", "aware_correct", "total", "without_row"):
            self.add_state(name, torch.zeros(tasks, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, logits: Tensor, labels: Tensor, tasks: Tensor, allowed: Tensor, known: Tensor | None = None
    ) -> None:
        """Counts a batch.

        Args:
            logits: (B, C) for all classes.
            labels: (B,), the class of each image.
            tasks: (B,), the task of each image, from 0.
            allowed: (T, C) bool, the classes of each task.
            known: (C,) bool, the classes that the head has a row for; None: all. An image whose class has none counts
                as wrong, and where that is so of all classes of its task, it does not count.
        """
        counts = torch.ones_like(labels, dtype=torch.bool)
        if known is not None:
            allowed, logits = allowed & known, logits.masked_fill(~known, -torch.inf)
            counts = allowed.any(dim=1)[tasks]
            self.without_row = _added(self.without_row, tasks, counts & ~known[labels])
        agnostic = logits.argmax(dim=1) == labels
        aware = logits.masked_fill(~allowed[tasks], -torch.inf).argmax(dim=1) == labels
        self.agnostic_correct = _added(self.agnostic_correct, tasks, counts & agnostic)
        self.aware_correct = _added(self.aware_correct, tasks, counts & aware)
        self.total = _added(self.total, tasks, counts)

    def compute(self) -> Counts:
        """The counts so far, of all processes."""
        return Counts(self.agnostic_correct.cpu(), self.aware_correct.cpu(), self.total.cpu(), self.without_row.cpu())


def _added(before: Tensor, tasks: Tensor, wanted: Tensor) -> Tensor:
    """Counts the images that are wanted, task by task, on top of earlier ones.

    Not in place, since counts that `compute` has returned must not change any more. And no shape depends on a value,
    for which the process would wait until a GPU is done with the batch.
    """
    return before.index_add(0, tasks, wanted.long())
