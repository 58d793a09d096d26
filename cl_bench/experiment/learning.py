"""The first step of a task: its weights are loaded from the store, or it is trained, or an expert's are read."""

import contextlib
import gc
import logging
from collections.abc import Iterator
from functools import partial

from cl_bench.callbacks import Checkpoint, FiniteLoss, KeepOurSignals, MergeAndEvaluate, StepSeeds, TrainingLog
from cl_bench.experiment import rehearsal
from cl_bench.experiment.importing import import_weights, on_all_ranks
from cl_bench.experiment.later_statistics import add_statistics
from cl_bench.experiment.relative_change import relative_change
from cl_bench.experiment.state import LearnedTask, Run, Task
from cl_bench.images import batches
from cl_bench.loggers import log_metrics
from cl_bench.runtime import distributed, seeds, signals
from cl_bench.trainers import Optimization, TaskTrainer, UnfinishedTask, Weights
from cl_bench.trainers.base.optimization import factor

log = logging.getLogger(__name__)

_HEAD = "head"  # the statistic that has the rows of a head that learns
_NOTHING: tuple[LearnedTask | None, frozenset[str]] = (None, frozenset())
_HARDLY = 1e-4  # of the norm; published settings change ViT-B/16 by more, and tiny_clip learns from 1e-3 on


def stored(run: Run, task: Task) -> LearnedTask | None:
    """Loads the task from the store, on all ranks; None if it has to be trained."""
    if (learned := read(run, task)) is None:
        return None
    if is_complete(run, task, learned):
        run.kept.task(task.number)
    return _arrive(run, task, learned, reused=True)


def learn(run: Run, task: Task) -> LearnedTask:
    """Trains the task and stores it, or adds what its stored weights lack beside them, or reads its expert.

    Of two runs, the second waits for the first.
    """
    with alone(run, task):
        if (learned := stored(run, task)) is not None:
            return learned
        if run.parts.experts:
            return _arrive(run, task, import_weights(run, task), reused=False)
        found, missing = distributed.from_main(_in_store(run, task) if distributed.is_main() else _NOTHING)
        added = found is not None and add_statistics(run, task, found, missing)
        if added and (learned := stored(run, task)) is not None:
            return learned
        with rehearsal.explained(run.parts.trainer), run.parts.devices.compilation_explained():
            trained = _train(run, task)
        return _arrive(run, task, trained, reused=False)


def read(run: Run, task: Task) -> LearnedTask | None:
    """Loads what the store has of the task, on all ranks; None if anything but the refinement is missing."""
    found = _read(run, task) if distributed.is_main() else None
    return on_all_ranks(found) if run.parts.experts else distributed.from_main(found)


def is_complete(run: Run, task: Task, learned: LearnedTask) -> bool:
    """Whether the task needs no more work: a run may have been killed between training and refinement."""
    return task.number == 0 or not run.parts.trainer.refines or "refined" in learned.statistics


@contextlib.contextmanager
def alone(run: Run, task: Task) -> Iterator[None]:
    """Keeps other runs from working on the task at the same time."""
    waiting = partial(log.info, "another run trains task %d of this stream: waiting for it", task.number + 1)
    with run.stream.lock(task.number, waiting) if distributed.is_main() else contextlib.nullcontext():
        distributed.barrier()
        yield


def _read(run: Run, task: Task) -> LearnedTask | None:
    learned, missing = _in_store(run, task)
    return None if missing else learned


def _in_store(run: Run, task: Task) -> tuple[LearnedTask | None, frozenset[str]]:
    """What the store has of the task, and the names of the statistics that it lacks."""
    trainer, stream = run.parts.trainer, run.stream
    if (found := stream.read(task.number)) is None:
        return _NOTHING
    needed = trainer.memory | trainer.keep | ({_HEAD} if trainer.head_rows.learns else set())
    wanted = needed | ({"refined"} if trainer.refines else set())
    read = {name: stream.read_extra(task.number, name) for name in sorted(wanted)}
    statistics = {name: tensors for name, tensors in read.items() if tensors is not None}
    return LearnedTask(found[0], statistics, found[1]), frozenset(needed - statistics.keys())


def _arrive(run: Run, task: Task, learned: LearnedTask, reused: bool) -> LearnedTask:
    """Notes what was learned, wherever it comes from, for the steps and tasks that build on it."""
    learned.record["reused"] = reused
    run.weights = learned.weights
    run.records.append(learned.record)
    trainer = run.parts.trainer
    if trainer.head_rows.learns:
        trainer.head_rows.freeze(trainer.head, learned.statistics[_HEAD])
    with rehearsal.explained(trainer):
        trainer.remember(task.experience, learned.weights, learned.statistics)
    if distributed.is_main():
        _warn_if_hardly_changed(run.parts.optimization, task, learned)
    return learned


def _train(run: Run, task: Task) -> LearnedTask:
    """Trains the task with a `pl.Trainer` of its own, from where an earlier run was stopped."""
    parts, optimization, resumed = run.parts, run.parts.optimization, _resumed(run, task)
    done = resumed.step if resumed else 0
    epochs = (optimization.epochs or task.experience.epochs or 0) if parts.trainer.trains else 0
    limit, samples = parts.devices.limit_train_batches, task.experience.samples
    order = batches.TrainingOrder(samples, optimization.batch_size, parts.seed, task.number, epochs, limit, done)
    _announce(optimization, order.steps, task, done)
    start = _start(run)
    seeds.reseed(parts.seed, task.number, "training")
    parts.trainer.begin_task(start, task.experience, order.steps, resumed)
    seconds_before = resumed.seconds if resumed else 0.0
    if not parts.trainer.trains:
        run.meter.start()
        return _store(run, task, parts.trainer.to(parts.devices.device), start, seconds_before)
    run.bars.begin_task(order.steps, epochs, done)
    run.kept.step, run.kept.steps = done, order.steps
    handed_over: list[LearnedTask] = []
    fit = parts.devices.trainer(
        optimization.gradient_clip,
        [
            KeepOurSignals(),
            StepSeeds(parts.seed, task.number, done),
            run.bars,
            FiniteLoss(task.number + 1, done),
            TrainingLog(partial(log_metrics, parts.logger), run.steps + done, task.number + 1),
            MergeAndEvaluate(
                begin=run.meter.start,
                hand_over=lambda trainer: handed_over.append(_store(run, task, trainer, start, seconds_before)),
            ),
            _checkpoint(run, task, done, seconds_before),
        ],
    )
    for_gpu = parts.devices.kind == "cuda"
    images = batches.loader(samples, order, parts.backbone.transform, parts.devices.workers, for_gpu)
    try:
        with parts.devices.products():
            fit.fit(parts.trainer, images)
    finally:
        signals.release()
    parts.trainer.trainer = None
    del fit, images
    gc.collect()  # a `pl.Trainer` refers to itself in circles, and holds optimizer state of twice the weights
    return handed_over[0]


def _start(run: Run) -> Weights:
    """The weights that the task starts from."""
    starts = {"pretrained": run.parts.pretrained, "previous": run.weights}
    start = starts.get(run.parts.trainer.starts_from)
    return distributed.from_main(run.merged.weights()) if start is None else start


def _store(run: Run, task: Task, trainer: TaskTrainer, start: Weights, seconds_before: float) -> LearnedTask:
    """Stores what training leaves behind, before anything else is done with it.

    All ranks take part, since they take statistics together. A merge that goes back to all tasks' weights continues
    with the stored files, which take no memory.
    """
    weights, statistics = rehearsal.left_behind(trainer, run.weights)
    if trainer.head_rows.learns:
        statistics = {**statistics, _HEAD: trainer.head_rows.learned()}
    seconds, peak = run.meter.stop("training")
    record = {"seconds": seconds_before + seconds, "peak_memory_mib": peak, "steps": trainer.steps}
    if distributed.is_main():
        record["relative_change"] = relative_change(start, weights)
        run.stream.write(task.number, weights, record, statistics)
        if is_complete(run, task, LearnedTask(weights, statistics, record)):
            run.kept.task(task.number)
        if run.merged.keeps_models and (mapped := _read(run, task)) is not None:
            return mapped._replace(record=record)
    return LearnedTask(weights, statistics, record)


def _checkpoint(run: Run, task: Task, done: int, seconds_before: float) -> Checkpoint:
    """Writes how far the task has come, as often as the devices' settings say."""

    def write(tensors: Weights) -> None:
        run.stream.write_partial(task.number, tensors)
        run.kept.step = int(tensors["step"])

    def seconds() -> float:
        return seconds_before + run.meter.elapsed()

    devices = run.parts.devices
    return Checkpoint(write, seconds, devices.checkpoint_steps, devices.checkpoint_minutes, done)


def _resumed(run: Run, task: Task) -> UnfinishedTask | None:
    """How far an earlier run has come within this task, on all ranks."""
    tensors = distributed.from_main(run.stream.read_partial(task.number) if distributed.is_main() else None)
    return None if tensors is None else UnfinishedTask.from_tensors(tensors)


def _announce(optimization: Optimization, steps: int, task: Task, done: int) -> None:
    """Tells the user what to know before the task is trained."""
    number = task.number + 1
    if done:
        log.info("task %d: an earlier run was stopped after %d of %d steps: going on from there", number, done, steps)
    if (warmup := optimization.warmup(steps)) > steps:
        reached = optimization.lr * factor(steps - 1, warmup, steps)
        log.info(
            "task %d: the warm-up of %d steps is longer than its %d steps: the learning rate reaches %.2g of %.2g",
            *(number, warmup, steps, reached, optimization.lr),
        )


def _warn_if_hardly_changed(optimization: Optimization, task: Task, learned: LearnedTask) -> None:
    """Training that did next to nothing looks like a method that forgets nothing."""
    record, single = learned.record, bool((task.experience.class_masks.sum(1) == 1).all())
    if (
        not record["steps"] or record["relative_change"] >= _HARDLY or single
    ):  # a task of one class was warned of before
        return
    advice = f"raise optim.lr={optimization.lr:g} or optim.epochs"
    if optimization.warmup(record["steps"]) > record["steps"]:
        advice = f"its warm-up is longer than its {record['steps']} steps: try optim.warmup_ratio=0.1, or {advice}"
    log.warning(
        "task %d: training hardly changed the weights (by %.1g of their norm); %s",
        *(task.number + 1, record["relative_change"], advice),
    )
