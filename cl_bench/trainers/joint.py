"""Joint training."""

from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.task_trainer import TaskTrainer


class Joint(TaskTrainer):
    """Learns all data at once, as one task: the bound that learning one task after another is held against."""

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns one experience with the images of all tasks."""
        return [scenario.joint()]
