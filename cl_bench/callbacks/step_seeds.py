"""Random numbers that depend on the step only."""

from typing import Any

import pytorch_lightning as pl

from cl_bench.runtime import seeds


class StepSeeds(pl.Callback):
    """Reseeds before every step, so that a run that goes on within a task draws the same numbers as an unbroken one.

    Args:
        seed: Seed of the run.
        task: Number of the task, from 0.
        done: Steps of the task that an earlier run has made.
    """

    def __init__(self, seed: int, task: int, done: int) -> None:
        self._seed, self._task, self._done = seed, task, done

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Sets the random state of the next step."""
        seeds.reseed(self._seed, self._task, "step", self._done + batch_idx)
