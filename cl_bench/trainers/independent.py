"""Independent fine-tuning."""

from cl_bench.trainers.task_trainer import TaskTrainer


class Independent(TaskTrainer):
    """Every task starts from the pre-trained weights, as if it were the only one."""

    starts_from = "pretrained"
