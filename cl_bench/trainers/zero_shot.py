"""No training."""

from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.task_trainer import TaskTrainer


class ZeroShot(TaskTrainer):
    """Learns nothing: the pre-trained weights θ₀ with the zero-shot head."""

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns none."""
        return []
