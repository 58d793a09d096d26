"""How much of a run is kept, for what it says when it is stopped."""

from dataclasses import dataclass


@dataclass
class Kept:
    """What another run of the same configuration would find in the store.

    Args:
        of: Tasks of the run.

    Attributes:
        tasks: Those of which nothing has to be computed again.
        step: Steps of the next one that a checkpoint holds.
        steps: All steps of that one.
    """

    of: int
    tasks: int = 0
    step: int = 0
    steps: int = 0

    def task(self, number: int) -> None:
        """The task of this number (from 0) is stored, and with it all before."""
        self.tasks, self.step = number + 1, 0

    def words(self) -> str:
        """`2 of 5 tasks, and 35 of 120 steps of task 3`."""
        within = f", and {self.step} of {self.steps} steps of task {self.tasks + 1}" if self.step else ""
        return f"{self.tasks} of {self.of} tasks{within}"
