"""Progress over tasks, epochs and steps on a terminal, with the time left; nothing where the output is no terminal."""

import sys
from typing import Any

import pytorch_lightning as pl
from rich import progress

from cl_bench.runtime import distributed


class ProgressBars(pl.Callback):
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
        self._epochs, self._done = 1, 0

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def advance(self) -> None:
        """One more task is done."""
        self._bars.advance(self._all)

    def begin_task(self, steps: int, epochs: int, done: int) -> None:
        """A task of `steps` steps in `epochs` epochs begins, of which `done` were made before."""
        self._epochs, self._done = epochs, done
        self._bars.reset(self._one, total=steps, completed=done, visible=True, note="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step forward."""
        step, total = self._done + trainer.global_step, self._bars.tasks[self._one].total
        epoch = min(self._epochs, 1 + step * self._epochs // total)
        self._bars.update(self._one, completed=step, note=f"epoch {epoch} of {self._epochs}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A task's steps are over."""
        self._bars.update(self._one, visible=False)
