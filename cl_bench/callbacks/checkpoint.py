"""Stores how far a task has come, so that a run that was killed goes on from there."""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytorch_lightning as pl
from torch import Tensor

from cl_bench.runtime import distributed, signals
from cl_bench.trainers import TaskTrainer


class Checkpoint(pl.Callback):
    """Writes weights and optimizer state after some steps or minutes, and when a signal ends the run; on rank 0 only.

    Args:
        write: Stores the tensors that it is called with.
        seconds: Returns the seconds that the task's training has taken so far.
        steps: Steps between checkpoints; None: steps do not matter.
        minutes: Minutes between checkpoints; None: time does not matter.
        done: Steps of the task that an earlier run has made.
    """

    def __init__(
        self,
        write: Callable[[Mapping[str, Tensor]], None],
        seconds: Callable[[], float],
        steps: int | None,
        minutes: float | None,
        done: int,
    ) -> None:
        self._write, self._seconds, self._steps, self._minutes, self._done = write, seconds, steps, minutes, done
        self._last = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Makes signals wait for the end of a step from now on."""
        signals.hold()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes where a checkpoint is due, or a signal waits.

        Other ranks go on to the next step and end when rank 0 does, which may need them to finish its step.
        """
        step = self._done + trainer.global_step
        due = self._steps is not None and step % self._steps == 0
        late = self._minutes is not None and time.monotonic() - self._last >= 60 * self._minutes
        if distributed.is_main() and (due or late or signals.waiting()):
            self._keep(step, pl_module)
            if signals.waiting():
                signals.release()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes where statistics are computed next, which may take as long as an epoch."""
        if distributed.is_main() and (cast(TaskTrainer, pl_module).makes_another_pass or signals.waiting()):
            self._keep(self._done + trainer.global_step, pl_module)
        signals.release()

    def _keep(self, step: int, pl_module: pl.LightningModule) -> None:
        self._write(cast(TaskTrainer, pl_module).unfinished(step, self._seconds()).tensors())
        self._last = time.monotonic()
