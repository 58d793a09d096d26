"""Trainers from outside the package that fail when they train."""

from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Sequential


class Broken(Sequential):
    """Makes the project's own code fail, as a fault of the project does."""

    def begin_task(self, weights, experience, steps, resumed=None):
        super().begin_task(weights, experience, steps, resumed)
        self.transform = "broken on purpose"


class Mistaken(Sequential):
    """Finds something that the user can mend, when it is too late to refuse it."""

    def training_step(self, batch, batch_idx):
        raise UserError("mend this")
