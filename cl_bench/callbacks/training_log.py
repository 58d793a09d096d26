"""Loss and learning rate for the loggers, along one axis of steps through all tasks."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from cl_bench.loggers import explained

_EVERY = 10


class TrainingLog(pl.Callback):
    """Logs every tenth step of every task to a logger that outlives the tasks' trainers.

    Args:
        logger: Where to log.
        first_step: Steps of all tasks before this one.
        task: Number of the task, from 1.
    """

    def __init__(self, logger: Logger, first_step: int, task: int) -> None:
        self._logger, self._first_step, self._task = logger, first_step, task

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
            with explained(self._logger):
                self._logger.log_metrics(metrics, step=self._first_step + trainer.global_step)
