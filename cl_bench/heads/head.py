"""A scenario's head: one row for each class, and when the class gets it."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class Head:
    """One matrix for the whole scenario.

    Attributes:
        rows: (C, D) float32; logits = rows @ features / |features|.
        arrival: (C,) int64, the number of the task, from 0, with which a class gets its row; one that no task brings
            has the number of tasks. None: all rows are there before any task.
        lr: Learning rate of the rows of a task's new classes; None: rows are not trained.
    """

    rows: Tensor
    arrival: Tensor | None = None
    lr: float | None = None

    def known(self, tasks: int) -> Tensor | None:
        """(C,) bool: the classes that have a row once so many tasks have arrived; None: all of them, always."""
        return None if self.arrival is None else self.arrival < tasks


class ArrivedHead(NamedTuple):
    """A head as far as its classes have arrived."""

    rows: Tensor  # (C, D)
    known: Tensor  # (C,) bool: the classes that have a row


class HeadSettings:
    """What a choice of the group `head` says.

    Attributes:
        from_words: Whether rows are made of class names, before any task; else of images, when a class arrives.
        lr: See `Head`.
    """

    from_words: ClassVar[bool] = False
    lr: float | None = None
