"""After each task: store its weights, fold its task vector into the merged model, evaluate that, note one row."""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from cl_bench.evaluation import Counts, Evaluator
from cl_bench.experiment import rehearsal
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.meter import Meter
from cl_bench.runtime.setting_names import choice
from cl_bench.trainers import TaskTrainer, UnfinishedTask, Weights


class Row(NamedTuple):
    """What was found after a task; nothing where nothing was evaluated."""

    merged: Sequence[Counts]  # one for each λ
    finetuned: Counts | None  # the task's own weights θ_t, before merging


class MergeAndEvaluate(pl.Callback):
    """The callback of every task's `pl.Trainer`; `after_task` does the same for a task read from the store.

    Only rank 0 stores and merges. All ranks evaluate.

    Args:
        merge: The running merge, at θ₀.
        evaluator: Evaluates encoder weights.
        meter: Gets the stages `training`, `merging` and `evaluation`.
        scalings: All λ with which the merged model is evaluated.
        pretrained: θ₀.
        store: Called with the task's number, weights, record and statistics as soon as the task is trained; returns
            weights and statistics to go on with.
        refine: Called on all ranks with the task's number, the merged model before it and the one with it: what
            training once more changes of that, by name; None where nothing does.
        add: Called with the task's number, record and the refined tensors, to be stored beside the task.
        due: Whether the model is evaluated after the task of this number (from 0).
        finetuned: Whether θ_t itself is evaluated, too.
        on_row: Called with this callback and every row.

    Attributes:
        rows: The first is zero-shot, the i-th what was found after the i-th task.
        records: Per task: seconds, peak memory and steps of its training, by what share of their norm it changed the
            weights that it started from (on rank 0), and whether it was read from the store.
        weights: θ_t of the last task; before any task, θ₀.
        statistics: What its training left behind beside them.
    """

    def __init__(
        self,
        merge: RunningMerge,
        evaluator: Evaluator,
        meter: Meter,
        scalings: Sequence[float],
        pretrained: Mapping[str, Tensor],
        store: Callable[[int, Weights, dict[str, Any], Mapping[str, Weights]], tuple[Weights, Mapping[str, Weights]]],
        refine: Callable[[int, Weights, Weights], Weights] | None,
        add: Callable[[int, dict[str, Any], Mapping[str, Weights]], None],
        due: Callable[[int], bool],
        finetuned: bool,
        on_row: Callable[["MergeAndEvaluate", Row], None],
    ) -> None:
        self._merge, self._evaluator, self._meter, self.weights = merge, evaluator, meter, pretrained
        self._store, self._due, self._finetuned, self._on_row = store, due, finetuned, on_row
        self._refine, self._add, self._scalings = refine, add, scalings
        self.rows: list[Row] = []
        self.records: list[dict[str, Any]] = []
        self.statistics: Mapping[str, Weights] = {}
        self._begin = self._before = 0.0
        self._start: Weights = {}

    def before_tasks(self) -> None:
        """Evaluates θ₀."""
        self._note(Row([self._evaluate(self.weights)] * len(self._scalings), None))

    def begin_task(self, start: Weights, resumed: UnfinishedTask | None) -> None:
        """A task will be trained from `start` on; what a run that was stopped has spent on it counts, too."""
        self._start = start
        self._before = resumed.seconds if resumed else 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: TaskTrainer) -> None:
        """A task's training begins."""
        self._begin = time.perf_counter()
        self._meter.start()

    def seconds(self) -> float:
        """What the task's training has taken so far."""
        return self._before + time.perf_counter() - self._begin

    def on_fit_end(self, trainer: pl.Trainer, pl_module: TaskTrainer) -> None:
        """A task's training has ended: its weights are stored before anything else is done with them."""
        weights, statistics = rehearsal.left_behind(pl_module, self.weights)
        seconds, peak = self._meter.stop("training")
        record = {"seconds": self._before + seconds, "peak_memory_mib": peak, "steps": pl_module.steps}
        if distributed.is_main():
            record["relative_change"] = _relative_change(self._start, weights)
            weights, statistics = self._store(len(self.records), weights, record, statistics)
        self.after_task(weights, statistics, record, reused=False)

    def after_task(
        self, weights: Weights, statistics: Mapping[str, Weights], record: dict[str, Any], reused: bool
    ) -> None:
        """Merges the task's weights, refines the merged model, and evaluates where that is due."""
        due = self._due(len(self.records))
        refines = self._refine is not None and len(self.records) > 0
        self.records.append({**record, "reused": reused})
        self.weights, self.statistics = weights, statistics
        previous = self.merged() if refines else {}
        self._fold()
        if refines:
            self._go_on_from_refined(previous)
        self._note(
            Row(
                merged=[self._evaluate(model) for model in self.merged_with_each()] if due else [],
                finetuned=self._evaluate(weights) if due and self._finetuned else None,
            )
        )

    def merged(self) -> Weights:
        """What the merger has made of all tasks so far, on the CPU; nothing on ranks other than 0."""
        return {name: tensor.cpu() for name, tensor in next(self.merged_with_each()).items()}

    def merged_with_each(self) -> Iterator[Weights]:
        """The same with each λ in turn."""
        models = self._merge.merged_with_each(self._scalings) if distributed.is_main() else itertools.repeat({})
        for _ in self._scalings:
            with self._meter.stage("merging"), self._named_errors():
                model = next(models)
            yield model

    def _fold(self) -> None:
        if distributed.is_main():
            with self._meter.stage("merging"), self._named_errors():
                self._merge.add(self.weights, self.statistics)

    def _go_on_from_refined(self, previous: Weights) -> None:
        """Refines the merged model, or reads how it was refined from the store, and goes on merging with that."""
        merged = self.merged()
        changed = self.statistics.get("refined")
        if changed is None:
            self._meter.start()
            changed = self._refine(len(self.records) - 1, *distributed.from_main((previous, merged)))
            seconds, peak = self._meter.stop("training")
            record = self.records[-1]
            record["seconds"] += seconds
            record["peak_memory_mib"] = max(record["peak_memory_mib"], peak)
            if distributed.is_main():
                stored = {name: value for name, value in record.items() if name != "reused"}
                self._add(len(self.records) - 1, stored, {"refined": changed})
        if distributed.is_main():
            with self._named_errors():
                self._merge.restart({**merged, **changed})

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:  # a merger says so where values leave the range of numbers
            raise UserError(
                f"{choice('merger', type(self._merge.merger))} cannot merge task {len(self.records)}: {error}"
            ) from error

    def _evaluate(self, weights: Mapping[str, Tensor]) -> Counts:
        with self._meter.stage("evaluation"):
            return self._evaluator(weights)

    def _note(self, row: Row) -> None:
        self.rows.append(row)
        self._on_row(self, row)


def _relative_change(start: Weights, end: Weights) -> float:
    """‖end − start‖ / ‖start‖ over all weights."""

    def norm(tensors: Iterable[Tensor]) -> float:
        return math.hypot(*(float(torch.linalg.vector_norm(tensor.double())) for tensor in tensors))

    return norm(end[name] - tensor.to(end[name].device) for name, tensor in start.items()) / norm(start.values())
