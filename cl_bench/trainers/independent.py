"""Independent fine-tuning."""

from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer


class Independent(TaskTrainer):
    """Starts every task from the pre-trained weights, as if it were the only one."""

    def __init__(self, given: Given, starts_from: StartsFrom = "pretrained") -> None:
        super().__init__(given, starts_from)
