"""The second step of a task: its task vector is folded into the merged model."""

from cl_bench.experiment import rehearsal
from cl_bench.experiment.learning import alone, is_complete, read
from cl_bench.experiment.state import LearnedTask, Run, Task
from cl_bench.runtime import distributed, seeds
from cl_bench.trainers import Weights


def merge(run: Run, task: Task, learned: LearnedTask) -> None:
    """Folds in the task's vector. From the second task on, a trainer may refine the merged model by training it."""
    if not (run.parts.trainer.refines and task.number > 0):
        run.merged.add(learned.weights, learned.statistics)
        return
    before = run.merged.weights()
    run.merged.add(learned.weights, learned.statistics)
    merged = run.merged.weights()
    changed = learned.statistics.get("refined")
    if changed is None:
        changed = _refine(run, task, before, merged)
    run.merged.restart({**merged, **changed})
    run.kept.task(task.number)


def _refine(run: Run, task: Task, before: Weights, merged: Weights) -> Weights:
    """Returns what refinement changes in the merged model; of two runs that need it, the second waits and loads it."""
    with alone(run, task):
        again = read(run, task)
        if again is not None and is_complete(run, task, again):
            run.records[-1].update(again.record)
            return again.statistics["refined"]
        run.meter.start()
        seeds.reseed(run.parts.seed, task.number, "refinement")
        trainer = run.parts.trainer.to(run.parts.devices.device)
        with rehearsal.explained(trainer), run.parts.devices.products():
            changed = trainer.refine(task.experience, *distributed.from_main((before, merged)))
        seconds, peak = run.meter.stop("training")
        record = run.records[-1]
        record["seconds"] += seconds
        record["peak_memory_mib"] = max(record["peak_memory_mib"], peak)
        if distributed.is_main():
            stored = {name: value for name, value in record.items() if name != "reused"}
            run.stream.add(task.number, stored, {"refined": changed})
    return changed
