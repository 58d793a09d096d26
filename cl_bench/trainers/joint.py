"""Joint training."""

from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.task_trainer import TaskTrainer


class Joint(TaskTrainer):
    """All data at once, as one task: what could be reached if nothing had to be learned after anything else."""

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """One experience with the images of all tasks."""
        return [scenario.joint()]
