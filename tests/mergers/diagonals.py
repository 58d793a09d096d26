"""Models with a number for each of their elements that says how much it matters."""

import torch

SHAPES = {"matrix": (3, 4), "number": (), "empty": (0,)}


def drawn(tasks, seed, zeros=0.3):
    """θ_0, θ_1 to θ_T, and F_1 to F_T over many orders of magnitude, with a share of zeros."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    models = [{name: normal(shape) for name, shape in SHAPES.items()} for _ in range(tasks + 1)]
    diagonals = []
    for _ in range(tasks):
        values = {name: 10 ** (3 * normal(shape) - 5) for name, shape in SHAPES.items()}
        kept = {name: torch.rand(shape, generator=generator) >= zeros for name, shape in SHAPES.items()}
        diagonals.append({name: value * kept[name] for name, value in values.items()})
    return models[0], models[1:], diagonals
