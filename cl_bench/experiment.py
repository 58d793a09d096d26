"""One run, from the first task to the result.

Tasks arrive one after another; each is learned, its task vector is folded into a merged model, the merged model is
evaluated, and one row is written down.
"""

import contextlib
import logging
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cl_bench import batches, distributed, seeds
from cl_bench.callbacks import FiniteLoss, MergeAndEvaluate, Progress, Row, TrainingLog
from cl_bench.evaluation import KINDS, Evaluator
from cl_bench.measure import Meter
from cl_bench.mergers import Last, RunningMerge
from cl_bench.parts import Parts, build
from cl_bench.result import compose
from cl_bench.scenarios import Experience
from cl_bench.store import Stream, write_result

log = logging.getLogger(__name__)


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
    meter = Meter(parts.devices.device)
    callback = _callback(parts, stream, meter)
    with Progress(len(parts.experiences)) as progress:
        callback.before_tasks()
        for task, experience in enumerate(parts.experiences):
            _obtain(parts, stream, callback, progress, task, experience)
            progress.advance()
    parts.logger.finalize("success")
    result = compose(config, parts, stream.fingerprint, callback, meter)
    if distributed.is_main():
        write_result(folder / "result.json", result)
    return result


def _callback(parts: Parts, stream: Stream, meter: Meter) -> MergeAndEvaluate:
    samples, class_masks = parts.scenario.evaluated(parts.evaluation.split)
    evaluator = Evaluator(
        parts.backbone.encoder,
        parts.head,
        parts.backbone.transform,
        samples,
        class_masks,
        parts.evaluation.batch_size,
        parts.devices.workers,
        parts.devices.device,
        parts.devices.autocast,
    )
    last = len(parts.experiences) - 1
    merged_is_finetuned = isinstance(parts.merger, Last) and parts.merger.scaling == 1
    return MergeAndEvaluate(
        RunningMerge(parts.merger, parts.pretrained, parts.backbone.frozen_parameters),
        evaluator,
        meter,
        pretrained=parts.pretrained,
        store=stream.write,
        due=lambda task: parts.evaluation.when == "every_task" or task == last,
        finetuned=parts.evaluation.finetuned and not merged_is_finetuned,
        on_row=partial(_log_row, parts),
    )


def _obtain(
    parts: Parts,
    stream: Stream,
    callback: MergeAndEvaluate,
    progress: Progress,
    task: int,
    experience: Experience,
) -> None:
    """Has the task's weights from the store, or learns them; of two runs that want the same ones, one waits."""
    stored = _stored(stream, task)
    if stored is None:
        with _alone(stream, task):
            stored = _stored(stream, task)
            if stored is None:
                _learn(parts, callback, progress, task, experience)
                return
    callback.after_task(*stored, reused=True)


def _learn(parts: Parts, callback: MergeAndEvaluate, progress: Progress, task: int, experience: Experience) -> None:
    """Trains the task, with a random state and a `pl.Trainer` of its own; the callback does all that follows."""
    optimization, seed = parts.optimization, parts.seed
    seeds.reseed(seed, task, "training")
    parts.trainer.begin_task(
        parts.pretrained if parts.trainer.starts_from == "pretrained" else callback.weights, experience
    )
    order = batches.TrainingOrder(experience.samples, optimization.batch_size, seed, task)
    training_log = TrainingLog(parts.logger, _steps(callback), task + 1)
    callbacks = [progress, FiniteLoss(task + 1), training_log, callback]
    epochs = optimization.epochs or experience.epochs
    trainer = parts.devices.trainer(epochs, optimization.gradient_clip, callbacks)
    images = batches.loader(experience.samples, order, parts.backbone.transform, parts.devices.workers)
    trainer.fit(parts.trainer, images)


def _stored(stream: Stream, task: int) -> tuple[Mapping[str, Tensor], dict[str, Any]] | None:
    """The task's weights and record, on rank 0; on the others the record alone, or None on all of them."""
    found = stream.read(task) if distributed.is_main() else None
    record = distributed.from_main(found and found[1])
    return None if record is None else (found[0] if found else {}, record)


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
    numbers = {} if row.merged is None else {kind: row.merged.pooled(kind) for kind in KINDS}
    shown = "".join(f"{kind.replace('_', '-')} {number:5.2f}  " for kind, number in numbers.items())
    log.info(f"{done} of {len(parts.experiences)}  {shown}{textwrap.shorten(name, 60)}{how}")
    if numbers:
        metrics = {f"{parts.evaluation.split}/{kind}": number for kind, number in numbers.items()}
        parts.logger.log_metrics(metrics, step=_steps(callback))
        parts.logger.save()


def _steps(callback: MergeAndEvaluate) -> int:
    return sum(record["steps"] for record in callback.records)
