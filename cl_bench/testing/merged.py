"""Merges in small, for the checks of mergers."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from cl_bench.mergers import BaseMerger, RunningMerge
from cl_bench.mergers.engine import blocks
from cl_bench.testing.made_up import Weights, made_up_statistics


def merge(merger: BaseMerger, models: Sequence[Weights], one_by_one: bool = False) -> dict[str, Tensor]:
    """θ_0 and the tasks' weights merged, with the statistics that the merger asks for."""
    pretrained, *finetuned = models
    statistics = (made_up_statistics(merger, pretrained, number) for number in itertools.count(1))
    if not merger.per_task:
        return merger.merge(pretrained, iter(finetuned) if one_by_one else finetuned, statistics=statistics)
    running = RunningMerge(merger, pretrained)
    for weights in finetuned:
        running.add(weights, next(statistics))
    return merged_of(running)


def merged_of(running: RunningMerge) -> dict[str, Tensor]:
    """The merged model, or that of the last task where each has its own."""
    return running.merged_for(running.tasks) if running.merger.per_task and running.tasks else running.merged()


@contextmanager
def blocks_of(elements: int) -> Iterator[None]:
    """Merges in blocks of so many elements."""
    usual, blocks.BLOCK_ELEMENTS = blocks.BLOCK_ELEMENTS, elements
    try:
        yield
    finally:
        blocks.BLOCK_ELEMENTS = usual
