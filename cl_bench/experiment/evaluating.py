"""The third step of a task: the merged model is evaluated, and one row is written down."""

import logging
import textwrap

from cl_bench.evaluation import Counts, Evaluator, Kind
from cl_bench.experiment import task_models
from cl_bench.experiment.adaptation import adapt
from cl_bench.experiment.counting import counted
from cl_bench.experiment.experts.accuracy import own_accuracy
from cl_bench.experiment.parts import Parts
from cl_bench.experiment.state import LearnedTask, MatrixRow, Run, Task
from cl_bench.loggers import log_metrics
from cl_bench.mergers import Last
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from cl_bench.runtime import distributed

log = logging.getLogger(__name__)


def evaluate_pretrained(run: Run) -> None:
    """Evaluates θ₀: the zero-shot row, which stays empty where no class has a row of the head yet."""
    scalings = len(run.parts.scalings)
    retained = [counted(run, run.retention, run.parts.pretrained)] * scalings if run.retention else []
    if run.arrived is not None:
        run.rows.append(MatrixRow([], None, retained))
        return
    counts = counted(run, run.evaluator, run.parts.pretrained)
    _note(run, MatrixRow([counts] * scalings, None, retained), "zero-shot")


def evaluate(run: Run, task: Task, learned: LearnedTask) -> None:
    """Evaluates the merged model with each λ, and the task's own weights, where that is due; all ranks do."""
    settings = run.parts.evaluation
    row = MatrixRow([], None)
    if settings.when == "every_task" or task.number == len(run.tasks) - 1:
        adapt(run)
        row = _merged_row(run)
        if settings.finetuned and not run.parts.experts and not _merged_is_finetuned(run.parts):
            row = row._replace(finetuned=counted(run, run.evaluator, learned.weights))
    if settings.finetuned and run.parts.has_expert_of_each_task:
        row = row._replace(finetuned=own_accuracy(run, task.number, learned.weights))
    reused = " (reused)" if learned.record["reused"] else ""
    _note(run, row, f"{textwrap.shorten(task.experience.name, 60)}{reused}")
    run.bars.advance()


def merged_counts(run: Run, evaluator: Evaluator) -> list[Counts]:
    """What the merged model, or those of all tasks so far, get right with each λ."""
    if run.parts.merger.per_task:
        return [one.counts for one in task_models.evaluated(run, evaluator)]
    return [counted(run, evaluator, model) for model in run.merged.with_each_scaling()]


def _merged_row(run: Run) -> MatrixRow:
    """What the merged model gets right with each λ; each is made once for all that is counted."""
    if run.parts.merger.per_task:
        found = task_models.evaluated(run, run.evaluator)
        return MatrixRow([one.counts for one in found], None, candidates=[one.candidates for one in found])
    merged, retained = list[Counts](), list[Counts]()
    for model in run.merged.with_each_scaling():
        merged.append(counted(run, run.evaluator, model))
        if run.retention:
            retained.append(counted(run, run.retention, model))
    return MatrixRow(merged, None, retained)


def _merged_is_finetuned(parts: Parts) -> bool:
    """Whether the merged model is θ_t itself, which need not be evaluated twice."""
    has_statistics = any(map(is_running_statistic, parts.pretrained))
    return isinstance(parts.merger, Last) and parts.scalings == (1,) and not has_statistics


def _note(run: Run, row: MatrixRow, name: str) -> None:
    """Writes the row down: in the run, in a line on the terminal, and in the logger."""
    run.rows.append(row)
    if not distributed.is_main():
        return
    log.info(f"{len(run.records)} of {len(run.tasks)}  {_accuracies(run.parts, row)}{name}")
    split = run.parts.evaluation.split
    for scaling, counts in zip(run.parts.scalings, row.merged, strict=False):
        under = split if len(run.parts.scalings) == 1 else f"{split}/scaling_{scaling:g}"
        metrics = {f"{under}/{kind}": counts.pooled(kind) for kind in run.parts.kinds}
        log_metrics(run.parts.logger, metrics, run.steps, save=True)


def _accuracies(parts: Parts, row: MatrixRow) -> str:
    """The accuracies of a row; of a grid of λ, only the kind that decides between them."""
    if len(parts.scalings) > 1:
        kind: Kind = "task_aware" if "task_aware" in parts.deciding else "task_agnostic"
        pairs = zip(parts.scalings, row.merged, strict=False)
        return "".join(f"λ {scaling:g}: {counts.pooled(kind):5.2f}  " for scaling, counts in pairs)
    return "".join(
        f"{kind.replace('_', '-')} {counts.pooled(kind):5.2f}  " for counts in row.merged for kind in parts.kinds
    )
