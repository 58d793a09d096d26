"""Seconds and memory of MagMax as tasks arrive: merged one by one, and with all tasks' weights kept until the end."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler

from cl_bench.analyses.run import Run
from cl_bench.analyses.source import Result
from cl_bench.analyses.spread import spread
from cl_bench.mergers import MagMax, RunningMerge
from cl_bench.trainers import Weights

WANTED = "trainer=sequential, with two tasks at least"
_MOST_POINTS = 10
_MOST_BYTES = 4 * 2**30  # what may be kept at once, so that no machine is brought down by a measurement
_REPEATS = 5

Merge = Callable[[], dict[str, Tensor]]

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # PyTorch's profiler otherwise reports each start and stop


def wants(record: Result) -> bool:
    """See `WANTED`."""
    return record["choices"]["trainer"] == "sequential" and len(record["training"]) > 1


def compute(run: Run) -> dict[str, Any]:
    """Both ways with the first T tasks, for up to ten T; the best of five times, in seconds of this machine.

    Memory is what PyTorch allocates for the merge, the result included. Mapped files are not: θ₀ and, merging one by
    one, the weights of the task that arrives. All weights are kept up to 4 GiB; beyond that is nothing.
    """
    pretrained = run.parts.pretrained
    bytes_each = sum(tensor.nbytes for tensor in pretrained.values())
    numbers = [place + 1 for place in spread(len(run.finetuned), _MOST_POINTS)]
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
    """Task by task, as a run does."""
    state = RunningMerge(MagMax(), pretrained)

    def merge() -> dict[str, Tensor]:
        for weights in finetuned:
            state.add(weights)
        return state.merged()

    return merge


def kept(pretrained: Weights, finetuned: Sequence[Weights]) -> Merge:
    """As the formula is written: all task vectors in memory, and of each element the largest, the later of equals."""

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
    """The shortest of some merges in seconds, and the peak of what PyTorch allocates within one, in MiB."""
    seconds = []
    for _ in range(_REPEATS):
        merge = way(pretrained, finetuned)
        begin = time.perf_counter()
        merge()
        seconds.append(time.perf_counter() - begin)
    # A running merge begins by asking the system for a large block that it gives back unused: that does not count.
    merge = way(pretrained, finetuned)
    with profiler.profile(profile_memory=True) as profile:
        merge()
    allocated = [event.nbytes() for event in profile.kineto_results.events() if event.name() == "[memory]"]
    return min(seconds), int(torch.tensor(allocated).cumsum(0).max()) / 2**20
