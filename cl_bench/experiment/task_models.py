"""Mergers that make a model for each task: each model is evaluated on the images of its task.

θ₀ answers for a task that has not arrived, where the head has its classes. What a rule leaves to each task is chosen by
validation images of the task.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from cl_bench.evaluation import Counts, Evaluator
from cl_bench.experiment.counting import counted
from cl_bench.experiment.state import Run
from cl_bench.mergers import PerTaskMerger


class TaskModels(NamedTuple):
    """What the models of all tasks so far get right, each of its own task."""

    counts: Counts
    candidates: Sequence[float | None]  # chosen for each task so far; None where there was nothing to choose by


def evaluated(run: Run, evaluator: Evaluator) -> list[TaskModels]:
    """Evaluates the models of all tasks so far with each λ; all ranks do."""
    choosing = _choosing(run)
    return [_with_scaling(run, evaluator, choosing, scaling) for scaling in run.parts.scalings]


def _choosing(run: Run) -> Evaluator | None:
    """Evaluates validation images; None where the run has none, or the rule leaves nothing to the tasks."""
    merger = run.parts.merger
    if not (isinstance(merger, PerTaskMerger) and merger.candidates) or "validation" not in run.parts.scenario.streams:
        return None
    return run.evaluator if run.parts.evaluation.split == "validation" else run.parts.evaluator("validation")


def _with_scaling(run: Run, evaluator: Evaluator, choosing: Evaluator | None, scaling: float) -> TaskModels:
    found, candidates = list[Counts](), list[float | None]()
    for task in range(run.merged.tasks):
        candidates.append(None if choosing is None else _best(run, choosing, task, scaling))
        model = run.merged.for_task(task + 1, scaling, candidates[-1])
        found.append(counted(run, evaluator, model, task))
    return TaskModels(_together(found, next(iter(run.rows[0].merged), None)), candidates)


def _best(run: Run, choosing: Evaluator, task: int, scaling: float) -> float | None:
    """The first of the best candidates; None where the task has no validation image."""
    assert isinstance(run.parts.merger, PerTaskMerger)
    right = dict[float, int]()
    for candidate in run.parts.merger.candidates:
        counts = counted(run, choosing, run.merged.for_task(task + 1, scaling, candidate), task)
        if not counts.total[task]:
            return None
        right[candidate] = int(counts.aware_correct[task])
    return max(right, key=right.__getitem__)


def _together(arrived: Sequence[Counts], zero_shot: Counts | None) -> Counts:
    """The counts of the tasks that have arrived, each of which has its own images alone, and θ₀'s of the others."""

    def added(name: str) -> torch.Tensor:
        parts = [getattr(counts, name) for counts in arrived]
        if zero_shot is not None:
            waiting = torch.arange(len(zero_shot.total)) >= len(arrived)
            parts.append(getattr(zero_shot, name) * waiting)
        return torch.stack(parts).sum(dim=0)

    return Counts(*map(added, ("agnostic_correct", "aware_correct", "total", "without_row")))
