"""The state of a run: what its steps read and change."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cl_bench.callbacks import ProgressBars
from cl_bench.evaluation import Counts, Evaluator
from cl_bench.experiment.kept import Kept
from cl_bench.experiment.merged_model import MergedModel
from cl_bench.experiment.parts import Parts, build
from cl_bench.experiment.scenario_name import measured
from cl_bench.heads.head import ArrivedHead
from cl_bench.loggers import logged
from cl_bench.runtime import distributed, signals, source_code
from cl_bench.runtime.meter import Meter
from cl_bench.scenarios import Experience
from cl_bench.store import Stream
from cl_bench.trainers import Weights

log = logging.getLogger(__name__)


class Task(NamedTuple):
    """A task of the run."""

    number: int  # from 0, in order of arrival
    experience: Experience


class LearnedTask(NamedTuple):
    """What training left of a task."""

    weights: Weights  # θ_t
    statistics: Mapping[str, Weights]  # that mergers or later tasks need, by name
    record: dict[str, Any]  # seconds, peak memory, steps, change of the weights, and whether it came from the store


class MatrixRow(NamedTuple):
    """What an evaluation found; nothing where none was due."""

    merged: Sequence[Counts]  # one for each λ
    finetuned: Counts | None  # the task's own weights θ_t, before merging
    retained: Sequence[Counts] = ()  # one for each λ, on the data sets that are never trained on
    candidates: Sequence[Sequence[float | None]] = ()  # for each λ and task what was chosen, see `TaskModels`


@dataclass
class Run:
    """A run and how far it has come.

    Attributes:
        config: The resolved configuration.
        parts: What takes part.
        tasks: What is learned, in order.
        stream: Where the tasks' weights are stored.
        meter: Seconds and memory of the stages `training`, `merging` and `evaluation`.
        kept: How much another run of the same configuration would find, for a message when this one is stopped.
        merged: The merged model.
        evaluator: Evaluates encoder weights on the images of `evaluation.split`.
        retention: The same on the test images of data sets that are never trained on; None where none is named.
        bars: Progress on the terminal.
        rows: The first is zero-shot, or without counts where no class has a row before the first task; the i-th is
            what was found after the i-th task.
        records: `LearnedTask.record` of each task so far.
        weights: θ_t of the last task; before any task, θ₀.
    """

    config: Mapping[str, Any]
    parts: Parts
    tasks: list[Task]
    stream: Stream
    meter: Meter
    kept: Kept
    merged: MergedModel
    evaluator: Evaluator
    retention: Evaluator | None
    bars: ProgressBars
    weights: Weights
    rows: list[MatrixRow] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Optimizer steps of all tasks so far, or their number if none is trained; the axis of all that is logged."""
        return len(self.records) if self.parts.experts else sum(record["steps"] for record in self.records)

    @property
    def finetuned(self) -> list[Counts | None]:
        """What θ₀ and then each task's weights got right before merging; nothing where these were not evaluated."""
        own = [row.finetuned for row in self.rows[1:]]
        pretrained = next(iter(self.rows[0].merged), None)
        return [pretrained, *own] if any(own) else []

    @property
    def arrived(self) -> ArrivedHead | None:
        """The head as far as its classes have arrived; None where all were there from the beginning."""
        known = self.parts.head.known(len(self.records))
        return None if known is None else ArrivedHead(self.parts.trainer.head, known)

    @contextlib.contextmanager
    def shown_and_logged(self) -> Iterator[None]:
        """Within, progress is shown, and the logger is open."""
        with logged(self.parts.logger, self.config, measured(self.config, self.parts.scenario)["name"]), self.bars:
            yield


def begin(config: Mapping[str, Any]) -> Run:
    """Builds the parts of a run and its state before the first task.

    Raises:
        UserError: See `parts.build`.
    """
    parts = build(config)
    stream = parts.stream()
    if distributed.is_main():
        _say_why_all_is_trained_anew(parts, stream)
    meter, kept = Meter(parts.devices.device), Kept(len(parts.experiences))
    signals.tell(kept.words)
    return Run(
        config=config,
        parts=parts,
        tasks=[Task(number, experience) for number, experience in enumerate(parts.experiences)],
        stream=stream,
        meter=meter,
        kept=kept,
        merged=MergedModel(parts, meter),
        evaluator=parts.evaluator(parts.evaluation.split),
        retention=parts.retention_evaluator(),
        bars=ProgressBars(len(parts.experiences)),
        weights=parts.pretrained,
    )


def _say_why_all_is_trained_anew(parts: Parts, stream: Stream) -> None:
    """Names the code that has changed, for a user who expects that nothing has to be trained again."""
    if (earlier := stream.earlier("code")) is not None:
        folder, code = earlier
        changed = ", ".join(source_code.changes(code, parts.training["code"]))
        log.info("trained anew, since code has changed: %s (before: %s)", changed, os.path.relpath(folder))
