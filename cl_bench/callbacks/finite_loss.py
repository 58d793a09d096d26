"""Stops a run whose loss is no longer a number."""

from typing import Any

import pytorch_lightning as pl
import torch

from cl_bench.runtime.errors import UserError


class FiniteLoss(pl.Callback):
    """Raises at the first step whose loss is NaN or infinite; tasks finished before stay in the store.

    The check of a step's loss is made one step later, so that a GPU never waits for it.

    Args:
        task: Number of the task, from 1.
        done: Steps of the task that were made before.
    """

    def __init__(self, task: int, done: int = 0) -> None:
        self._task, self._done = task, done
        self._last: torch.Tensor | None = None
        self._last_finite = float("nan")
        self._step = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the loss of the step before."""
        self._check()
        self._last, self._step = outputs["loss"].detach(), self._done + trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the last step's loss."""
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
