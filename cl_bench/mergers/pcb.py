"""PCB: every element from the tasks to which it matters, and with which the others agree."""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, StackMerger, Weights
from cl_bench.mergers.numerics.selection import kth_largest_of_each
from cl_bench.mergers.numerics.sums import sum_in_order

_TAIL = 1e-4  # share of each task vector's magnitudes that is cut off at either end

Stacks = Callable[[], Iterator[Stack]]
"""Reads all tasks once, one parameter at a time."""


class PCB(StackMerger):
    """PCB-Merging: per element, a mean of the task vectors, weighted by a score; low scores are dropped.

    With N elements in a task vector, and order statistics over all of them, counted from 0:

    1. Cut: a_t = |τ_t|, cut to the range from its ⌊10⁻⁴ N⌋-th to its ⌊(1 - 10⁻⁴) N - 1⌋-th value.
    2. Balance within the task: n_t is a_t, scaled from that range to the one from 0 to 1; exp(T n_t²).
    3. Balance between tasks: tanh(τ_t · (τ_1 + … + τ_T)). The score s_t is the product of both balances.
    4. Drop and rescale: w_t is s_t, scaled from the range between its ⌊(1 - density) N⌋-th and its largest value
       to the one from 0 to 1; what lies below becomes 0.
    5. Merge: τ = Σ w_t sign(τ_t) a_t / Σ w_t, and 0 where all w_t are 0.

    It needs all tasks together, the largest parameter a few times per task, and reads them six times.

    Source: Du et al., "Parameter Competition Balancing for Model Merging", NeurIPS 2024, arXiv 2410.02396.

    Differs from the publication in: followed is the file ``pcb-merging.py`` of the authors' code, which their
    README names for the details. The paper has softmax functions over the whole vector in place of exp and
    tanh, and cuts nothing. The authors' script for CLIP cuts a share of 10⁻² in step 1, and sums in step 3 the
    sign(τ_t) n_t. All of them divide by zero where a range is a single value; here, that becomes 0.

    Args:
        scaling: λ.
        density: Share of each task vector that is not dropped.

    Raises:
        ValueError: ``density`` is not in (0, 1].
    """

    def __init__(self, scaling: float = 1.2, density: Annotated[float, Field(gt=0, le=1)] = 0.05) -> None:
        super().__init__(scaling)
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        self.density = density

    def look_over(self, stacks: Stacks) -> Weights:
        """``ranges``, (T, 4): of each task the smallest and largest magnitude, and the smallest and largest score."""
        sizes = [(stack.pretrained.numel(), stack.pretrained.dtype) for stack in stacks()]
        elements = sum(size for size, _ in sizes)
        if elements == 0:
            return {}
        dtype = torch.float64 if any(own == torch.float64 for _, own in sizes) else torch.float32
        magnitudes = _range_of_magnitudes(stacks, elements, dtype)
        least = min(int((1 - self.density) * elements), elements - 1)
        scores = _range_of_scores(stacks, elements, dtype, magnitudes, least)
        return {"ranges": torch.cat([magnitudes, scores], dim=1)}

    def combine_stack(self, stack: Stack) -> Tensor:
        """The weighted mean of the magnitudes, with their signs."""
        if not stack.overview:
            return torch.zeros_like(stack.pretrained)
        ranges = stack.overview["ranges"].to(stack.vectors)
        weights = _scaled(_scores(stack, ranges[:, :2]), ranges[:, 2:])
        kept = stack.vectors.sign().mul_(_cut(stack.vectors.abs(), ranges[:, :2])).mul_(weights)
        return sum_in_order(kept).div_(sum_in_order(weights).clamp_(min=1e-12))


def _range_of_magnitudes(stacks: Stacks, elements: int, dtype: torch.dtype) -> Tensor:
    def blocks() -> Iterator[list[Tensor]]:
        for stack in stacks():
            of_tasks = [vector.abs().to(dtype).view(-1) for vector in stack.vectors]
            yield of_tasks + of_tasks

    tasks = len(next(stacks()).weights)
    smallest, largest = int(_TAIL * elements), max(0, int((1 - _TAIL) * elements - 1))
    found = kth_largest_of_each(blocks, [elements - smallest] * tasks + [elements - largest] * tasks, dtype)
    return torch.tensor(found, dtype=dtype).view(2, tasks).t()


def _range_of_scores(stacks: Stacks, elements: int, dtype: torch.dtype, magnitudes: Tensor, least: int) -> Tensor:
    def scores() -> Iterator[Tensor]:
        for stack in stacks():
            if stack.pretrained.numel():
                yield _scores(stack, magnitudes.to(stack.vectors)).to(dtype).view(len(stack.vectors), -1).cpu()

    seen = [(block.amax(1), (block < 0).sum(1)) for block in scores()]
    largest = torch.stack([maximum for maximum, _ in seen]).amax(0)
    negative = torch.stack([count for _, count in seen]).sum(0)
    # A score is found among numbers that are not negative: from below, with changed signs, if it is negative.
    signs = torch.where(negative > least, -1.0, 1.0).to(dtype)
    ks = [elements - least if sign > 0 else least + 1 for sign in signs]
    # Adding 0 makes a 0 of -0, whose bits are not in the order of the numbers.
    found = kth_largest_of_each(
        lambda: (block.mul(signs[:, None]).clamp_(min=0).add_(0.0).unbind() for block in scores()), ks, dtype
    )
    return torch.stack([signs * torch.tensor(found, dtype=dtype), largest], dim=1)


def _scores(stack: Stack, magnitudes: Tensor) -> Tensor:
    """(T, *shape): the product of both balances, up to a factor per task."""
    normalized = _scaled(stack.vectors.abs(), magnitudes)
    # One less in the exponent: a factor that step 4 takes out again, and no number grows too large.
    within = normalized.square_().sub_(1).mul_(len(stack.vectors)).exp_()
    return stack.vectors.mul(sum_in_order(stack.vectors)).tanh_().mul_(within)


def _cut(values: Tensor, ranges: Tensor) -> Tensor:
    """(T, *shape) values, each task's cut to its own of the (T, 2) ranges."""
    smallest, largest = ranges.reshape(-1, 2, *[1] * (values.dim() - 1)).unbind(1)
    return values.maximum(smallest).minimum(largest)


def _scaled(values: Tensor, ranges: Tensor) -> Tensor:
    """(T, *shape) values, each task's cut to its own range, which becomes that from 0 to 1."""
    smallest, largest = ranges.reshape(-1, 2, *[1] * (values.dim() - 1)).unbind(1)
    width = (largest - smallest).where(largest > smallest, torch.ones_like(largest))
    return _cut(values, ranges).sub_(smallest).div_(width)
