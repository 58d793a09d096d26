"""The merged models of a run once more, from the weights in the store."""

from collections.abc import Iterator
from typing import NamedTuple

from cl_bench.analyses.run import Run
from cl_bench.mergers import RunningMerge
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Weights


class Step(NamedTuple):
    """What one task did to the merged model."""

    previous: Weights  # the merged model before it; before the first, θ₀
    own: Weights  # θ_t
    merged: Weights  # the merged model with it, not yet refined
    refined: Weights  # the one that the run goes on with; where nothing refines, the merged one


def merge_path(run: Run) -> Iterator[Step]:
    """All steps of a run, in order.

    Raises:
        UserError: What training left behind for the merger is not in the store.
    """
    parts = run.parts
    running = RunningMerge(parts.merger, parts.pretrained, parts.backbone.frozen_parameters, parts.running_statistics)
    for task, own in enumerate(run.finetuned):
        statistics = {name: run.stream.read_extra(task, name) for name in parts.merger.requires}
        if missing := [name for name, tensors in statistics.items() if tensors is None]:
            raise UserError(f"{run.stream.path} has no {missing[0]} of task {task + 1}. Run it anew.")
        previous = running.merged()
        running.add(own, statistics)
        merged = refined = running.merged()
        if changed := run.stream.read_extra(task, "refined"):
            refined = {**merged, **changed}
            running.restart(refined)
        yield Step(previous, own, merged, refined)
