"""What a CPU can do, and what merging one block of ViT-B/16 asks of it; for `benchmarks.merge`."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cl_bench.mergers import OPCM, RunningMerge

_WIDTH = 768
_BLOCK = ((3 * _WIDTH, _WIDTH), (_WIDTH, _WIDTH), (4 * _WIDTH, _WIDTH), (_WIDTH, 4 * _WIDTH))
"""The matrices of a block: attention's two, and the MLP's."""
_STEPS = {"wudi": 300, "dop": 200}  # of Adam, by default


def rate(size: int = 4 * _WIDTH, rounds: int = 7) -> float:
    """Floating-point operations per second of a large float32 product, in as many threads as torch has: the best."""
    left, right, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        torch.mm(left, right, out=out)
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds)


def operations(merger: str, tasks: int) -> float:
    """Floating-point operations of the products that a rule makes of one block, without decompositions."""
    if merger == "wudi":  # a step multiplies τ by the tasks' curvature; each task has a part in it and in the gradient
        return sum(2 * m * n * n * (_STEPS[merger] + 2 * tasks) for m, n in _BLOCK)
    (_, n), *others = _BLOCK
    both = sum(2 * (_from_one_side(m, n) + _from_one_side(n, m)) for m, n in [(n, n)] * 3 + others)
    return both * _STEPS[merger] * (tasks - 1)


def _from_one_side(m: int, n: int) -> int:
    """U · Σ² · Uᵀ times (m, n), as one matrix or as two of rank min(m, n), whichever takes less."""
    return 2 * m * n * min(m, 2 * n)


def seconds_per_task(
    pretrained: dict[str, Tensor], model: Callable[[int], dict[str, Tensor]], tasks: int
) -> list[float]:
    """How long OPCM takes for each task of a stream."""
    running, seconds = RunningMerge(OPCM(), pretrained), []
    for task in range(1, tasks + 1):
        weights = model(task)
        begin = time.perf_counter()
        running.add(weights)
        seconds.append(time.perf_counter() - begin)
    return seconds


def early_and_late(seconds: Sequence[float]) -> tuple[float, float]:
    """The median of tasks 2 to 11, and of the last ten."""
    return statistics.median(seconds[1:11]), statistics.median(seconds[-10:])
