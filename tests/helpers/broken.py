"""Trainers from outside the package that fail when they train."""

from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Sequential


class Broken(Sequential):
    """Cannot train."""

    def training_step(self, batch, batch_idx):
        raise RuntimeError("broken on purpose")


class Mistaken(Sequential):
    """Finds something that the user can mend, when it is too late to refuse it."""

    def training_step(self, batch, batch_idx):
        raise UserError("mend this")
