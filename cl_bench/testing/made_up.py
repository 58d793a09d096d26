"""Small random models to merge, the same each time, and what a task's training might leave behind with them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cl_bench.mergers import BaseMerger

Weights = Mapping[str, Tensor]

SHAPES = {"matrix": (5, 3), "vector": (4,), "number": (), "empty": (0, 2)}


def made_up_statistics(merger: BaseMerger, pretrained: Weights, task: int) -> dict[str, dict[str, Tensor]]:
    """Made-up statistics of a task: squares of a parameter's shape, or Gram matrices where only those fit."""
    generator = torch.Generator().manual_seed(task)
    made: dict[str, dict[str, Tensor]] = {name: {} for name in merger.requires}
    for name, parameter in pretrained.items():
        squares = torch.randn(parameter.shape, generator=generator).square()
        inputs = torch.randn(20, *parameter.shape[1:], generator=generator)
        candidates = [squares, *([inputs.mT @ inputs] if parameter.dim() == 2 else [])]
        fitting = [statistic for statistic in candidates if merger.fits(statistic, parameter)]
        if fitting and parameter.is_floating_point():
            for tensors in made.values():
                tensors[name] = fitting[0]
    return made


def exact_models(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    """θ_0 to θ_T with quarters as values: sums are exact, so that equal magnitudes and sums of zero occur."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randint(-5, 6, shape, generator=generator) / 4 for name, shape in SHAPES.items()}
        | {"steps": torch.tensor(7)}
        for _ in range(tasks + 1)
    ]


def rough_models(elements: int, dtype: torch.dtype) -> list[dict[str, Tensor]]:
    """θ_0 and three tasks with one parameter, whose sums are rounded."""
    generator = torch.Generator().manual_seed(elements)
    return [{"weight": torch.randn(elements, generator=generator).to(dtype)} for _ in range(4)]
