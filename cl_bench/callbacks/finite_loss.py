"""Stops a run whose loss has become NaN or infinite."""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch

from cl_bench.runtime.errors import UserError


class FiniteLoss(pl.Callback):
    """Raises `UserError` after the first loss that is NaN or infinite; finished tasks stay in the store.

    A loss is checked one step later, when it has arrived from the GPU: so none of the two waits for the other.

    Args:
        task: Number of the task, from 1.
        done: Steps of the task that an earlier run has made.
    """

    def __init__(self, task: int, done: int = 0) -> None:
        self._task, self._done = task, done
        self._last: Callable[[], float] | None = None
        self._last_finite = float("nan")
        self._step = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the loss of the previous step."""
        self._check()
        self._last, self._step = _under_way(outputs["loss"].detach()), self._done + trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Checks the loss of the last step."""
        self._check()

    def _check(self) -> None:
        if self._last is None:
            return
        loss = self._last()
        if not math.isfinite(loss):
            raise UserError(
                f"The loss became {loss} in step {self._step} of task {self._task}; the last finite loss was "
                f"{self._last_finite:.4g}. A lower optim.lr, or lightning.precision=32-true, may help. "
                f"The tasks before are kept and will not be trained again."
            )
        self._last_finite = loss


def _under_way(number: torch.Tensor) -> Callable[[], float]:
    """Begins to copy a number from its device, behind what the device has to do by now; the result waits for it."""
    if not number.is_cuda:
        return number.item
    copy, is_there = number.to("cpu", non_blocking=True), torch.cuda.Event()
    is_there.record()

    def value() -> float:
        is_there.synchronize()
        return float(copy)

    return value
