"""One model of any merger, for tests that hold for all of them."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from cl_bench.mergers import BaseMerger, RunningMerge

Weights = Mapping[str, Tensor]


def one_model(
    merger: BaseMerger, start: Weights, models: Sequence[Weights], statistics: Sequence[Mapping[str, Weights]] = ()
) -> dict[str, Tensor]:
    """The merged model, or that of the first task where each has its own."""
    if not merger.per_task:
        return merger.merge(start, models, statistics=statistics)
    running = RunningMerge(merger, start)
    for model in models:
        running.add(model)
    return running.merged_for(1)
