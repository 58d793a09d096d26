"""The first step of a task whose weights are not learned: they are read from the files that others made."""

from cl_bench.experiment.state import LearnedTask, Run, Task
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError


def import_weights(run: Run, task: Task) -> LearnedTask:
    """Refers to an expert's files, which are not copied, and reads its weights from them.

    Raises:
        UserError: The files have changed since the run began.
    """
    learned = on_all_ranks(_refer(run, task) if distributed.is_main() else None)
    assert learned is not None  # rank 0 read it
    return learned


def on_all_ranks(learned: LearnedTask | None) -> LearnedTask | None:
    """What rank 0 read, on all ranks, but the weights on rank 0 alone: nobody else needs those of an expert."""
    record = distributed.from_main(None if learned is None else learned.record)
    if record is None or distributed.is_main():
        return learned
    return LearnedTask({}, {}, record)


def _refer(run: Run, task: Task) -> LearnedTask:
    expert = run.parts.experts[task.number]
    record = {"seconds": 0.0, "peak_memory_mib": None, "steps": 0, "relative_change": expert.relative_change}
    run.stream.refer(task.number, expert.reference, record)
    if (found := run.stream.read(task.number)) is None:
        raise UserError(f"{expert.task}: {expert.reference.path} has changed since the run began; run it again.")
    run.kept.task(task.number)
    return LearnedTask(found[0], {}, record)
