"""Progress over tasks, epochs and steps on a terminal, with the time left; nothing where the output is no terminal."""

import sys
from typing import Any

import pytorch_lightning as pl
from rich import progress

from cl_bench import distributed


class Progress(pl.Callback):
    """Two lines: all tasks, and the steps of the current one.

    Args:
        tasks: Number of tasks of the run.
    """

    def __init__(self, tasks: int) -> None:
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[note]}"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            disable=not (distributed.is_main() and sys.stdout.isatty()),
            transient=True,
        )
        self._all = self._bars.add_task("tasks", total=tasks, note="")
        self._one = self._bars.add_task("steps", total=None, note="", visible=False)

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def advance(self) -> None:
        """One more task is done."""
        self._bars.advance(self._all)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A task's steps begin."""
        self._bars.reset(self._one, total=trainer.estimated_stepping_batches, visible=True, note="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step forward."""
        note = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._bars.update(self._one, completed=trainer.global_step, note=note)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A task's steps are over."""
        self._bars.update(self._one, visible=False)
