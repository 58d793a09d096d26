"""Sequential fine-tuning."""

from cl_bench.trainers.base.task_trainer import TaskTrainer


class Sequential(TaskTrainer):
    """Every task starts from the previous task's weights (MagMax, arXiv 2407.06322, trains so)."""
