"""Loss and learning rate for the logger, along one axis of steps through all tasks."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl

_EVERY = 10


class TrainingLog(pl.Callback):
    """Logs every tenth step of a task.

    Args:
        log: Called with the metrics and the step; see `loggers.log_metrics`.
        first_step: Steps of all tasks before this one.
        task: Number of the task, from 1.
    """

    def __init__(self, log: Callable[[Mapping[str, float], int], None], first_step: int, task: int) -> None:
        self._log, self._first_step, self._task = log, first_step, task

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs the step that has just been made."""
        if trainer.is_global_zero and trainer.global_step % _EVERY == 0:
            metrics = {
                "train/loss": float(outputs["loss"]),
                "train/lr": trainer.optimizers[0].param_groups[0]["lr"],
                "train/task": self._task,
            }
            self._log(metrics, self._first_step + trainer.global_step)
