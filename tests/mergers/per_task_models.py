"""Models for the tests of rules that make a model for each task, and what such a rule makes of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from cl_bench.mergers import PerTaskMerger, RunningMerge

SHAPES = {"matrix": (5, 3), "bias": (4,), "number": (), "empty": (0, 2)}


def quarters(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    """θ_0 to θ_T with quarters as values: sums are exact, so that sums of zero and equal magnitudes occur."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randint(-5, 6, shape, generator=generator).double() / 4 for name, shape in SHAPES.items()}
        for _ in range(tasks + 1)
    ]


def each_tasks(merger: PerTaskMerger, models: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """The model that a rule makes for each task."""
    running = RunningMerge(merger, models[0])
    for model in models[1:]:
        running.add(model)
    return [running.merged_for(task) for task in range(1, len(models))]


def per_element(rule: Callable[[list[float], int], float], vectors: Tensor, task: int) -> Tensor:
    """A rule for one element of all tasks, applied to each; (T, N) to (N,)."""
    return torch.tensor([rule(column, task) for column in vectors.T.tolist()], dtype=torch.float64)
