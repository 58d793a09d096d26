"""A trainer from outside the package that fails in a way that nobody expects."""

from cl_bench.trainers import Sequential


class Broken(Sequential):
    """Cannot train."""

    def training_step(self, batch, batch_idx):
        raise RuntimeError("broken on purpose")
