"""Independent fine-tuning."""

from typing import Any

from cl_bench.trainers.task_trainer import StartsFrom, TaskTrainer


class Independent(TaskTrainer):
    """Every task starts from the pre-trained weights, as if it were the only one."""

    def __init__(self, *arguments: Any, starts_from: StartsFrom = "pretrained", **options: Any) -> None:
        super().__init__(*arguments, starts_from=starts_from, **options)
