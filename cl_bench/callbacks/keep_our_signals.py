"""Keeps Lightning from handling signals; it would end with exit code 0, or wait for all processes."""

import pytorch_lightning as pl

from cl_bench.runtime import signals


class KeepOurSignals(pl.Callback):
    """Restores the run's signal handlers as soon as Lightning has replaced them."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restores the handlers."""
        signals.keep()
