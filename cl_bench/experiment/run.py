"""One run, from the first task to the result.

Tasks arrive one after another; each is learned, its task vector is folded into a merged model, the merged model is
evaluated, and one row is written down.
"""

import contextlib
import gc
import logging
import os
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.callbacks import (
    Checkpoint,
    FiniteLoss,
    MergeAndEvaluate,
    OwnSignals,
    Progress,
    Row,
    StepSeeds,
    TrainingLog,
)
from cl_bench.experiment import earlier_result, scaling_grid
from cl_bench.experiment.kept import Kept
from cl_bench.experiment.parts import Parts, build
from cl_bench.experiment.record import compose
from cl_bench.experiment.scenario_name import measured
from cl_bench.images import batches
from cl_bench.loggers import log_metrics, logged
from cl_bench.mergers import Last, RunningMerge
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.runtime import distributed, seeds, signals, source_code
from cl_bench.runtime.meter import Meter
from cl_bench.scenarios import Experience
from cl_bench.store import Stream, write_result
from cl_bench.trainers import Optimization, UnfinishedTask, Weights
from cl_bench.trainers.base.optimization import factor

log = logging.getLogger(__name__)

_HARDLY = 1e-4  # of the norm; published settings change ViT-B/16 by more, and tiny_clip learns from 1e-3 on

Stored: TypeAlias = tuple[Weights, Mapping[str, Weights], dict[str, Any]]
"""A task's weights, the statistics beside them, and the record of its training."""


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Does one run and leaves its `result.json` in `folder`.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where this run's outputs go.

    Returns:
        The result, as it is written.

    Raises:
        UserError: Something in the configuration, the data or the files has to be mended by the user.
    """
    parts = build(config)
    stream = Stream(parts.store_dir / "streams", parts.training)
    if distributed.is_main():
        _tell_of_changed_code(parts, stream)
    meter, kept = Meter(parts.devices.device), Kept(len(parts.experiences))
    signals.tell(kept.words)
    callback = _callback(parts, stream, meter, kept)
    scenario = measured(config, parts.scenario)["name"]
    with logged(parts.logger, config, scenario), Progress(len(parts.experiences)) as progress:
        callback.before_tasks()
        for task, experience in enumerate(parts.experiences):
            _obtain(parts, stream, callback, kept, progress, task, experience)
            progress.advance()
    validation = scaling_grid.on_validation(parts, callback, meter)
    result = compose(config, parts, stream.fingerprint, callback, meter, validation)
    if distributed.is_main():
        earlier_result.set_aside(folder / "result.json", result["config"])
        write_result(folder / "result.json", result)
    signals.tell(None)
    return result


def _tell_of_changed_code(parts: Parts, stream: Stream) -> None:
    """Whoever expects that nothing has to be trained again learns why it has."""
    if (earlier := stream.earlier("code")) is not None:
        folder, code = earlier
        changed = ", ".join(source_code.changes(code, parts.training["code"]))
        log.info("trained anew, since code has changed: %s (before: %s)", changed, os.path.relpath(folder))


def _callback(parts: Parts, stream: Stream, meter: Meter, kept: Kept) -> MergeAndEvaluate:
    running = _running_merge(parts)
    last = len(parts.experiences) - 1
    has_statistics = any(map(is_running_statistic, parts.pretrained))
    merged_is_finetuned = isinstance(parts.merger, Last) and parts.scalings == (1,) and not has_statistics
    return MergeAndEvaluate(
        running,
        parts.evaluator(parts.evaluation.split),
        meter,
        parts.scalings,
        pretrained=parts.pretrained,
        store=partial(_store, parts, stream, kept, running.keeps_models),
        refine=partial(_refine, parts) if parts.trainer.refines else None,
        add=stream.add,
        due=lambda task: parts.evaluation.when == "every_task" or task == last,
        finetuned=parts.evaluation.finetuned and not merged_is_finetuned,
        on_row=partial(_log_row, parts),
    )


def _running_merge(parts: Parts) -> RunningMerge:
    """The merge at θ₀: on the CPU, since most only read files; on the GPU where all tasks' matrices are multiplied."""
    frozen, statistics = parts.backbone.frozen_parameters, parts.running_statistics
    running = RunningMerge(parts.merger, parts.pretrained, frozen, statistics)
    if parts.devices.kind != "cuda" or not running.keeps_models:
        return running
    pretrained = {name: tensor.to(parts.devices.device) for name, tensor in parts.pretrained.items()}
    return RunningMerge(parts.merger, pretrained, frozen, statistics)


def _store(
    parts: Parts,
    stream: Stream,
    kept: Kept,
    mapped: bool,
    task: int,
    weights: Weights,
    record: dict[str, Any],
    statistics: Mapping[str, Weights],
) -> tuple[Weights, Mapping[str, Weights]]:
    """Writes a task; a merge that keeps all models goes on with the files, which take no memory."""
    stream.write(task, weights, record, statistics)
    if task == 0 or not parts.trainer.refines:
        kept.task(task)
    stored = _read(parts, stream, task) if mapped else None
    return (weights, statistics) if stored is None else stored[:2]


def _obtain(
    parts: Parts,
    stream: Stream,
    callback: MergeAndEvaluate,
    kept: Kept,
    progress: Progress,
    task: int,
    experience: Experience,
) -> None:
    """Has the task's weights from the store, or learns them; of two runs that want the same ones, one waits."""
    stored = _stored(parts, stream, task)
    with contextlib.nullcontext() if _complete(parts, task, stored) else _alone(stream, task):
        stored = stored if _complete(parts, task, stored) else _stored(parts, stream, task)
        if stored is None:
            _learn(parts, stream, callback, kept, progress, task, experience)
        else:
            if _complete(parts, task, stored):
                kept.task(task)
            callback.after_task(*stored, reused=True)
    if distributed.is_main():
        _warn_if_hardly_changed(parts.optimization, task, experience, callback.records[-1])
    kept.task(task)
    parts.trainer.remember(experience, callback.weights, callback.statistics)


def _learn(
    parts: Parts,
    stream: Stream,
    callback: MergeAndEvaluate,
    kept: Kept,
    progress: Progress,
    task: int,
    experience: Experience,
) -> None:
    """Trains the task with its own `pl.Trainer`, from where an earlier run was stopped; the callback does the rest."""
    optimization, seed, resumed = parts.optimization, parts.seed, _resumed(stream, task)
    done, epochs = resumed.step if resumed else 0, optimization.epochs or experience.epochs
    limit = parts.devices.limit_train_batches
    order = batches.TrainingOrder(experience.samples, optimization.batch_size, seed, task, epochs, limit, done)
    _tell(optimization, order.steps, task, done)
    start = {"pretrained": parts.pretrained, "previous": callback.weights}.get(parts.trainer.starts_from)
    start = distributed.from_main(callback.merged()) if start is None else start
    seeds.reseed(seed, task, "training")
    parts.trainer.begin_task(start, experience, order.steps, resumed)
    progress.begin_task(order.steps, epochs, done)
    kept.step, kept.steps = done, order.steps
    callback.begin_task(start, resumed)
    callbacks = [
        OwnSignals(),
        StepSeeds(seed, task, done),
        progress,
        FiniteLoss(task + 1, done),
        TrainingLog(partial(log_metrics, parts.logger), _steps(callback) + done, task + 1),
        callback,
        _checkpoint(parts, stream, callback, kept, task, done),
    ]
    trainer = parts.devices.trainer(optimization.gradient_clip, callbacks)
    images = batches.loader(experience.samples, order, parts.backbone.transform, parts.devices.workers)
    try:
        trainer.fit(parts.trainer, images)
    finally:
        signals.release()
    parts.trainer.trainer = None
    del trainer, callbacks, images
    gc.collect()  # a `pl.Trainer` refers to itself in circles, and holds optimizer state of twice the weights


def _refine(parts: Parts, task: int, previous: Weights, merged: Weights) -> Weights:
    """What changes of the merged model when the trainer trains it once more."""
    seeds.reseed(parts.seed, task, "refinement")
    return parts.trainer.to(parts.devices.device).refine(parts.experiences[task], previous, merged)


def _checkpoint(
    parts: Parts, stream: Stream, callback: MergeAndEvaluate, kept: Kept, task: int, done: int
) -> Checkpoint:
    def write(tensors: Weights) -> None:
        stream.write_partial(task, tensors)
        kept.step = int(tensors["step"])

    return Checkpoint(write, callback.seconds, parts.devices.checkpoint_steps, parts.devices.checkpoint_minutes, done)


def _resumed(stream: Stream, task: int) -> UnfinishedTask | None:
    """How far an earlier run has come within this task, on all ranks."""
    tensors = distributed.from_main(stream.read_partial(task) if distributed.is_main() else None)
    return None if tensors is None else UnfinishedTask.from_tensors(tensors)


def _tell(optimization: Optimization, steps: int, task: int, done: int) -> None:
    """What people should know of a task before it is trained."""
    if done:
        log.info("task %d: an earlier run was stopped after %d of %d steps: going on from there", task + 1, done, steps)
    if (warmup := optimization.warmup(steps)) > steps:
        reached = optimization.lr * factor(steps - 1, warmup, steps)
        log.info(
            "task %d: the warm-up of %d steps is longer than its %d steps: the learning rate reaches %.2g of %.2g",
            *(task + 1, warmup, steps, reached, optimization.lr),
        )


def _warn_if_hardly_changed(
    optimization: Optimization, task: int, experience: Experience, record: Mapping[str, Any]
) -> None:
    """Training that did next to nothing looks like a method that forgets nothing."""
    single = bool((experience.class_masks.sum(1) == 1).all())  # of which it was warned before
    if not record["steps"] or record["relative_change"] >= _HARDLY or single:
        return
    advice = f"raise optim.lr={optimization.lr:g} or optim.epochs"
    if optimization.warmup(record["steps"]) > record["steps"]:
        advice = f"its warm-up is longer than its {record['steps']} steps: try optim.warmup_ratio=0.1, or {advice}"
    log.warning(
        "task %d: training hardly changed the weights (by %.1g of their norm); %s",
        *(task + 1, record["relative_change"], advice),
    )


def _stored(parts: Parts, stream: Stream, task: int) -> Stored | None:
    """What is in the store of the task, on all ranks; None if anything but the refined weights is not there."""
    found = _read(parts, stream, task) if distributed.is_main() else None
    return distributed.from_main(found)


def _read(parts: Parts, stream: Stream, task: int) -> Stored | None:
    stored = stream.read(task)
    wanted = sorted(parts.trainer.memory | parts.trainer.keep)
    statistics = {name: stream.read_extra(task, name) for name in wanted} if stored else {}
    if stored is None or any(tensors is None for tensors in statistics.values()):
        return None
    refined = stream.read_extra(task, "refined") if parts.trainer.refines else None
    return stored[0], statistics if refined is None else {**statistics, "refined": refined}, stored[1]


def _complete(parts: Parts, task: int, stored: Stored | None) -> bool:
    """Whether nothing of the task has to be computed: a run may have been killed between training and refinement."""
    return stored is not None and (task == 0 or not parts.trainer.refines or "refined" in stored[1])


@contextlib.contextmanager
def _alone(stream: Stream, task: int) -> Iterator[None]:
    """Keeps other runs from training the task at the same time."""
    waiting = partial(log.info, "another run trains task %d of this stream: waiting for it", task + 1)
    with stream.lock(task, waiting) if distributed.is_main() else contextlib.nullcontext():
        distributed.barrier()
        yield


def _log_row(parts: Parts, callback: MergeAndEvaluate, row: Row) -> None:
    """One line for people, and the same numbers for the logger."""
    if not distributed.is_main():
        return
    done = len(callback.records)
    name = parts.experiences[done - 1].name if done else "zero-shot"
    how = " (reused)" if done and callback.records[-1]["reused"] else ""
    log.info(f"{done} of {len(parts.experiences)}  {_shown(parts, row)}{textwrap.shorten(name, 60)}{how}")
    for scaling, counts in zip(parts.scalings, row.merged, strict=False):
        under = parts.evaluation.split if len(parts.scalings) == 1 else f"{parts.evaluation.split}/scaling_{scaling:g}"
        metrics = {f"{under}/{kind}": counts.pooled(kind) for kind in parts.kinds}
        log_metrics(parts.logger, metrics, _steps(callback), save=True)


def _shown(parts: Parts, row: Row) -> str:
    """The accuracies of a row in words; of a grid of λ, the kind that is the headline's."""
    if len(parts.scalings) > 1:
        kind = "task_aware" if "task_aware" in parts.scenario.headline else "task_agnostic"
        pairs = zip(parts.scalings, row.merged, strict=False)
        return "".join(f"λ {scaling:g}: {counts.pooled(kind):5.2f}  " for scaling, counts in pairs)
    return "".join(
        f"{kind.replace('_', '-')} {counts.pooled(kind):5.2f}  " for counts in row.merged for kind in parts.kinds
    )


def _steps(callback: MergeAndEvaluate) -> int:
    return sum(record["steps"] for record in callback.records)
