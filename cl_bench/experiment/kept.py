"""How much of a run is stored, for the message of a run that is stopped."""

from dataclasses import dataclass


@dataclass
class Kept:
    """What another run of the same configuration would find in the store.

    Attributes:
        of: Number of tasks of the run.
        tasks: Number of tasks that are stored and need no more work.
        step: Steps of the next task that its checkpoint holds.
        steps: All steps of that task.
    """

    of: int
    tasks: int = 0
    step: int = 0
    steps: int = 0

    def task(self, number: int) -> None:
        """Notes that the task of this number (from 0) is stored."""
        self.tasks, self.step = number + 1, 0

    def words(self) -> str:
        """`2 of 5 tasks, and 35 of 120 steps of task 3`."""
        within = f", and {self.step} of {self.steps} steps of task {self.tasks + 1}" if self.step else ""
        return f"{self.tasks} of {self.of} tasks{within}"
