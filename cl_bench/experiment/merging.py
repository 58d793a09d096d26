"""The second step of a task: its task vector is folded into the merged model, which may then be trained once more."""

from cl_bench.experiment.learning import alone, read, says_all
from cl_bench.experiment.state import Learned, Run, Task
from cl_bench.runtime import distributed, seeds
from cl_bench.trainers import Weights


def merge(run: Run, task: Task, learned: Learned) -> None:
    """Folds the task's vector in; where the trainer refines, from the second task on, the merge goes on from that."""
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
    """What refinement changes of the merged model; of two runs that refine the same one, the second waits and reads."""
    with alone(run, task):
        again = read(run, task)
        if again is not None and says_all(run, task, again):
            run.records[-1].update(again.record)
            return again.statistics["refined"]
        run.meter.start()
        seeds.reseed(run.parts.seed, task.number, "refinement")
        trainer = run.parts.trainer.to(run.parts.devices.device)
        changed = trainer.refine(task.experience, *distributed.from_main((before, merged)))
        seconds, peak = run.meter.stop("training")
        record = run.records[-1]
        record["seconds"] += seconds
        record["peak_memory_mib"] = max(record["peak_memory_mib"], peak)
        if distributed.is_main():
            stored = {name: value for name, value in record.items() if name != "reused"}
            run.stream.add(task.number, stored, {"refined": changed})
    return changed
