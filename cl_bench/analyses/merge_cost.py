"""Seconds and memory of MagMax for a growing number of tasks: merged one by one, or all kept until the end."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler

from cl_bench.analyses.evenly_spaced import evenly_spaced
from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.source import Record
from cl_bench.mergers import MagMax, RunningMerge
from cl_bench.trainers import Weights

WANTED = "trainer=sequential, with two tasks at least"
_MOST_POINTS = 10
_MOST_BYTES = 4 * 2**30  # of weights kept at once, so that no measurement brings a machine down
_REPEATS = 5

Merge = Callable[[], dict[str, Tensor]]

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences the profiler's message at each start and stop


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    return record["choices"]["trainer"] == "sequential" and len(record["training"]) > 1


def compute(run: OpenedRun) -> dict[str, Any]:
    """Measures both ways with the first T tasks, for up to ten values of T, on this machine.

    Seconds are the best of five merges. Memory is what PyTorch allocates for a merge, including the result. Files that
    are mapped do not count: θ₀ and, merging one by one, the weights of the task that arrives. Keeping all weights is
    measured up to 4 GiB.
    """
    pretrained = run.parts.pretrained
    bytes_each = sum(tensor.nbytes for tensor in pretrained.values())
    numbers = [place + 1 for place in evenly_spaced(len(run.finetuned), _MOST_POINTS)]
    at_most = {running: len(run.finetuned), kept: _MOST_BYTES // bytes_each}
    measured: dict[str, dict[str, list[float | None]]] = {}
    for way, most in at_most.items():
        costs = [
            measure(way, pretrained, run.finetuned[:tasks]) if tasks <= most else (None, None) for tasks in numbers
        ]
        measured[way.__name__] = {"seconds": [cost[0] for cost in costs], "memory": [cost[1] for cost in costs]}
    return {
        "units": {"tasks": "1", "seconds": "s", "memory": "MiB", "weights": "MiB"},
        "tasks": numbers,
        "weights": bytes_each / 2**20,
        **measured,
    }


def running(pretrained: Weights, finetuned: Sequence[Weights]) -> Merge:
    """Merges task by task, as a run does."""
    state = RunningMerge(MagMax(), pretrained)

    def merge() -> dict[str, Tensor]:
        for weights in finetuned:
            state.add(weights)
        return state.merged()

    return merge


def kept(pretrained: Weights, finetuned: Sequence[Weights]) -> Merge:
    """Merges as the formula is written, with all task vectors in memory; a tie goes to the later task."""

    def merge() -> dict[str, Tensor]:
        vectors = [{name: weights[name] - start for name, start in pretrained.items()} for weights in finetuned]
        merged = {}
        for name, start in pretrained.items():
            stack = torch.stack([vector[name] for vector in reversed(vectors)])
            largest = stack.abs().max(dim=0, keepdim=True).indices
            merged[name] = start + MagMax().scaling * stack.gather(0, largest)[0]
        return merged

    return merge


def measure(
    way: Callable[[Weights, Sequence[Weights]], Merge], pretrained: Weights, finetuned: Sequence[Weights]
) -> tuple[float, float]:
    """The time of the fastest of five merges in seconds, and the peak of PyTorch's memory within one in MiB."""
    seconds = []
    for _ in range(_REPEATS):
        merge = way(pretrained, finetuned)
        begin = time.perf_counter()
        merge()
        seconds.append(time.perf_counter() - begin)
    # Made before profiling: a running merge first asks the system for a large block that it returns unused.
    merge = way(pretrained, finetuned)
    with profiler.profile(profile_memory=True) as profile:
        merge()
    allocated = [event.nbytes() for event in profile.kineto_results.events() if event.name() == "[memory]"]
    return min(seconds), int(torch.tensor(allocated).cumsum(0).max()) / 2**20
