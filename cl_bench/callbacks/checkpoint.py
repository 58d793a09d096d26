"""Keeps how far a task has come, so that a run that is killed goes on from there."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from cl_bench.runtime import distributed, signals
from cl_bench.trainers import TaskTrainer


class Checkpoint(pl.Callback):
    """Writes weights and optimizer state every so many steps or minutes, and when a signal ends the run; rank 0 alone.

    Args:
        write: Called with what has to be kept.
        seconds: Asked for the seconds that the task's training has taken so far.
        steps: Steps from one to the next; None: steps don't matter.
        minutes: Minutes from one to the next; None: time doesn't matter.
        done: Steps of the task that were made before.
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

    def on_train_start(self, trainer: pl.Trainer, pl_module: TaskTrainer) -> None:
        """From now on, a signal waits for the end of a step."""
        signals.hold()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: TaskTrainer, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes if it is time, or the last one.

        Other ranks go on to the next step, and end when rank 0 does: it may need them to finish its own.
        """
        step = self._done + trainer.global_step
        due = self._steps is not None and step % self._steps == 0
        late = self._minutes is not None and time.monotonic() - self._last >= 60 * self._minutes
        if distributed.is_main() and (due or late or signals.waiting()):
            self._keep(step, pl_module)
            if signals.waiting():
                signals.release()

    def on_train_end(self, trainer: pl.Trainer, pl_module: TaskTrainer) -> None:
        """Writes where statistics are taken next, which may last as long as an epoch."""
        if distributed.is_main() and (pl_module.makes_another_pass or signals.waiting()):
            self._keep(self._done + trainer.global_step, pl_module)
        signals.release()

    def _keep(self, step: int, pl_module: TaskTrainer) -> None:
        self._write(pl_module.unfinished(step, self._seconds()).tensors())
        self._last = time.monotonic()
