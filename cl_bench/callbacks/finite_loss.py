"""Stops a run whose loss has become NaN or infinite."""

from typing import Any

import pytorch_lightning as pl
import torch

from cl_bench.runtime.errors import UserError


class FiniteLoss(pl.Callback):
    """Raises `UserError` after the first loss that is NaN or infinite; finished tasks stay in the store.

    A loss is checked one step later, so that a GPU never waits for the check.

    Args:
        task: Number of the task, from 1.
        done: Steps of the task that an earlier run has made.
    """

    def __init__(self, task: int, done: int = 0) -> None:
        self._task, self._done = task, done
        self._last: torch.Tensor | None = None
        self._last_finite = float("nan")
        self._step = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the loss of the previous step."""
        self._check()
        self._last, self._step = outputs["loss"].detach(), self._done + trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Checks the loss of the last step."""
        self._check()

    def _check(self) -> None:
        if self._last is None:
            return
        loss = float(self._last)
        if not torch.isfinite(self._last):
            raise UserError(
                f"The loss became {loss} in step {self._step} of task {self._task}; the last finite loss was "
                f"{self._last_finite:.4g}. A lower optim.lr, or lightning.precision=32-true, may help. "
                f"The tasks before are kept and will not be trained again."
            )
        self._last_finite = loss
