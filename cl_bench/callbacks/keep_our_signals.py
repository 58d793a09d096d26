"""Keeps Lightning from handling signals, after which it ends with exit code 0, or waits for all processes."""

import pytorch_lightning as pl

from cl_bench.runtime import signals


class KeepOurSignals(pl.Callback):
    """Takes the handlers back as soon as Lightning has put its own in their place."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Training begins."""
        signals.keep()
