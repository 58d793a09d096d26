"""The merged models of a run, computed again from the weights in the store."""

from collections.abc import Iterator
from typing import NamedTuple

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.mergers import RunningMerge
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Weights


class MergeStep(NamedTuple):
    """How one task changed the merged model."""

    previous: Weights  # the merged model before the task; before the first task, θ₀
    finetuned: Weights  # θ_t
    merged: Weights  # the merged model with the task, before refinement
    refined: Weights  # the model that the run goes on with: refined, or merged where nothing refines


def merge_path(run: OpenedRun) -> Iterator[MergeStep]:
    """Yields all steps of a run in order.

    Raises:
        UserError: The store lacks statistics that the merger needs.
    """
    parts = run.parts
    running = RunningMerge(parts.merger, parts.pretrained, parts.backbone.frozen_parameters, parts.running_statistics)
    for task, finetuned in enumerate(run.finetuned):
        statistics = {name: _statistics(run, task, name) for name in parts.merger.requires}
        previous = running.merged()
        running.add(finetuned, statistics)
        merged = refined = running.merged()
        if changed := run.stream.read_extra(task, "refined"):
            refined = {**merged, **changed}
            running.restart(refined)
        yield MergeStep(previous, finetuned, merged, refined)


def _statistics(run: OpenedRun, task: int, name: str) -> Weights:
    """What training left behind for the merger, beside the weights."""
    tensors = run.stream.read_extra(task, name)
    if tensors is None:
        raise UserError(f"{run.stream.path} has no {name} of task {task + 1}. Run it anew.")
    return tensors
