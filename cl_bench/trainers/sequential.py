"""Sequential fine-tuning."""

from cl_bench.trainers.base.task_trainer import TaskTrainer


class Sequential(TaskTrainer):
    """Starts every task from the previous task's weights, and trains all of them: what `TaskTrainer` does by itself.

    MagMax, arXiv 2407.06322, trains so. `l2sp.py` shows how to add a penalty to the loss, `si.py` how to keep state
    within a task and from task to task.
    """
