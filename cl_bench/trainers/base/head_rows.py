"""The rows of a head that learns: those of a task's new classes are trained with the task, and frozen afterwards."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_ROWS = "head_rows"


class HeadRows(nn.Module):
    """What is trained of a head in the present task; nothing without a learning rate.

    Args:
        lr: Learning rate of the rows.

    Attributes:
        learns: Whether rows of new classes are trained.
        rows: (K, D), those of the task's new classes; None where there is none.
    """

    classes: Tensor  # (K,) int64

    def __init__(self, lr: float | None) -> None:
        super().__init__()
        self.learns, self._lr = lr is not None, lr
        self._frozen = set[int]()
        self.rows: nn.Parameter | None = None
        self.register_buffer("classes", torch.zeros(0, dtype=torch.int64), persistent=False)

    def begin(self, head: Tensor, class_masks: Tensor, within_task: dict[str, Tensor]) -> None:
        """Makes the rows of new classes trainable.

        Args:
            head: (C, D), whose rows they start from.
            class_masks: (groups, C) bool, the task's classes.
            within_task: What a checkpoint has kept; the rows are taken out of it.
        """
        if not self.learns:
            return
        arrived = class_masks.any(dim=0).nonzero().flatten()
        new = [label for label in arrived.tolist() if label not in self._frozen]
        self.classes = torch.tensor(new, dtype=torch.int64, device=head.device)
        rows = within_task.pop(_ROWS, head[self.classes])
        self.rows = nn.Parameter(rows.to(head.device, copy=True)) if new else None

    def of(self, head: Tensor) -> Tensor:
        """(C, D): the head with the rows as they are now."""
        return head if self.rows is None else head.index_copy(0, self.classes, self.rows)

    def group(self) -> dict[str, Any] | None:
        """The optimizer's group of parameters; None where no row is trained."""
        return None if self.rows is None else {"params": [self.rows], "lr": self._lr}

    def unfinished(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {} if self.rows is None else {_ROWS: self.rows.detach()}

    def learned(self) -> dict[str, Tensor]:
        """The rows after the task, `rows` (K, D) of `classes` (K,); copies on the CPU."""
        rows = torch.zeros(0) if self.rows is None else self.rows.detach()
        return {"classes": self.classes.cpu().clone(), "rows": rows.cpu().clone()}

    def freeze(self, head: Tensor, learned: Mapping[str, Tensor]) -> None:
        """Writes the rows that a task has left into the head, where they stay."""
        classes = learned["classes"]
        if len(classes):
            head[classes.to(head.device)] = learned["rows"].to(head.device)
        self._frozen.update(classes.tolist())
        self.rows = None
