"""Statistics that a stored task was not asked for when it was trained: one more pass over its images, no training."""

import logging

from cl_bench.experiment.state import LearnedTask, Run, Task
from cl_bench.runtime import distributed, seeds
from cl_bench.runtime.user_code import is_from_outside
from cl_bench.trainers.statistics import FROM_ANOTHER_PASS, STATISTICS

log = logging.getLogger(__name__)


def add_statistics(run: Run, task: Task, learned: LearnedTask, missing: frozenset[str]) -> bool:
    """Stores the missing statistics beside the task's weights, with the bits that training would have left.

    That is so on as many devices as trained; on more or fewer, sums are rounded otherwise.
    Training is needed for what only it knows, such as the optimizer's state, and for trainers of the user's own, which
    may know more at the end of a task than its weights.

    Args:
        run: The run, on all ranks.
        task: The task.
        learned: What the store has of it.
        missing: Names of what it lacks.

    Returns:
        Whether they could be added.
    """
    trainer, devices = run.parts.trainer, run.parts.devices
    if not missing <= FROM_ANOTHER_PASS or is_from_outside(trainer):
        return False
    log.info("task %d: %s of the stored weights, without training", task.number + 1, ", ".join(sorted(missing)))
    seeds.reseed(run.parts.seed, task.number, "training")  # the pass has training's order and crops
    trainer.begin_task(learned.weights, task.experience, learned.record["steps"])
    if trainer.head_rows.learns:
        trainer.head_rows.freeze(trainer.head, learned.statistics["head"])
    trainer.to(devices.device)
    with devices.products():
        added = {name: STATISTICS[name](trainer) for name in sorted(missing)}
    if distributed.is_main():
        run.stream.add(task.number, learned.record, added)
    return True
