"""Hands a task over as soon as it is trained, to be merged and evaluated."""

from collections.abc import Callable
from typing import cast

import pytorch_lightning as pl

from cl_bench.trainers import TaskTrainer


class MergeAndEvaluate(pl.Callback):
    """Hands a task over while its `pl.Trainer` is alive, on all ranks: statistics need its optimizer and its loss.

    Merging and evaluating are steps of the run, the same for a task that was trained and one that was stored.

    Args:
        begin: Called when the task's training begins.
        hand_over: Called with the trainer when it has ended.
    """

    def __init__(self, begin: Callable[[], None], hand_over: Callable[[TaskTrainer], None]) -> None:
        self._begin, self._hand_over = begin, hand_over

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The task's training begins."""
        self._begin()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The task's training has ended."""
        self._hand_over(cast(TaskTrainer, pl_module))
