"""Progress bars on a terminal; nothing where the output is no terminal."""

import sys
from typing import Any

import pytorch_lightning as pl
from rich import progress

from cl_bench.runtime import distributed


class ProgressBars(pl.Callback):
    """Two bars, with the time left: the tasks of the run, and the steps of the current task.

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
        self._epochs, self._steps, self._done = 1, 1, 0

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def advance(self) -> None:
        """Moves the bar of the tasks."""
        self._bars.advance(self._all)

    def begin_task(self, steps: int, epochs: int, done: int) -> None:
        """A task begins: `steps` steps in `epochs` epochs; an earlier run has made the first `done` steps."""
        self._epochs, self._steps, self._done = epochs, steps, done
        self._bars.reset(self._one, total=steps, completed=done, visible=True, note="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar of the steps."""
        step = self._done + trainer.global_step
        epoch = min(self._epochs, 1 + step * self._epochs // self._steps)
        self._bars.update(self._one, completed=step, note=f"epoch {epoch} of {self._epochs}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hides the bar of the steps."""
        self._bars.update(self._one, visible=False)
