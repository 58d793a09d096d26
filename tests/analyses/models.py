"""Made-up task vectors in float64, and the same as numpy sees them, for oracles that compute everything once more."""

import numpy as np
import torch

SHAPES = {"patches": (7, 3), "bias": (5,), "proj": (4, 6)}


def made(tasks=4, seed=0):
    """θ₀ and the weights of some tasks: half of the elements move by whole numbers, so that many tie; one does not."""
    random = np.random.default_rng(seed)
    pretrained = {name: torch.tensor(random.integers(-3, 4, shape) / 2.0) for name, shape in SHAPES.items()}

    def move(name, shape):
        whole, other = random.choice([-1.0, 0.0, 1.0, 2.0], shape), random.normal(size=shape)
        moved = torch.tensor(np.where(random.random(shape) < 0.5, whole, other))
        moved[0] *= name != "bias"
        return moved

    finetuned = [{name: pretrained[name] + move(name, shape) for name, shape in SHAPES.items()} for _ in range(tasks)]
    return tuple({**weights, "count": torch.tensor([3])} for weights in (pretrained, *finetuned))


def oracle(pretrained, finetuned):
    """(T, N)"""
    return np.array(
        [
            np.concatenate([(weights[name] - pretrained[name]).numpy().ravel() for name in SHAPES])
            for weights in finetuned
        ]
    )
