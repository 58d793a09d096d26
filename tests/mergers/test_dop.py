import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import DOP
from tests.mergers.matrix_models import OUTSIDE_LAYERS, PARAMETER, SHAPES, by_hand, encoders, low_rank

SETTINGS: dict[str, Any] = {"steps": 4, "learning_rate": 0.01, "decay": 0.5}


def distance(weights: Tensor, target: Tensor, energy: float) -> Tensor:
    left, values, right = torch.linalg.svd(target, full_matrices=False)
    shares = values.cumsum(0) / values.sum()
    keep = int(torch.searchsorted(shares, energy)) if values.sum() > 0 else 0
    scale = torch.diag(values[:keep])
    seen_left = scale @ left[:, :keep].T @ (weights - target)
    seen_right = (weights - target) @ right[:keep].T @ scale
    return seen_left.norm().square() + seen_right.norm().square()


def shortest(one: Tensor, other: Tensor) -> float:
    """By trying: a share between the bounds."""
    shares = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    squares = shares**2 * (one**2).sum() + 2 * shares * (1 - shares) * (one * other).sum()
    best = float(shares[(squares + (1 - shares) ** 2 * (other**2).sum()).argmin()])
    return 0.999 if best == 1 else 0.001 if best == 0 else best


def dop(vectors: Tensor, steps: int, learning_rate: float, decay: float, energy: float = 0.99999) -> Tensor:
    """Yang et al., with the gradients that autograd finds, and Adam by hand."""
    merged = vectors[0]
    for vector in vectors[1:]:
        weights, stability = (merged + vector) / 2, 0.8
        mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
        for step in range(1, steps + 1):
            weights.requires_grad_()
            losses = [distance(weights, target, energy) for target in (merged, vector)]
            gradients = [torch.autograd.grad(loss, weights)[0] for loss in losses]
            normed = [one / loss.detach() if loss > 0 else one for one, loss in zip(gradients, losses, strict=True)]
            stability = decay * stability + (1 - decay) * shortest(*normed)
            gradient = stability * gradients[0] + (1 - stability) * gradients[1]
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            direction = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
            weights = weights.detach() - learning_rate * direction
        merged = weights.detach()
    return merged


def folded(merger: DOP, vectors: Tensor) -> Tensor:
    merged = vectors[0]
    for vector in vectors[1:]:
        merged = merger.fold_matrix(merged, vector, PARAMETER)
    return merged


def matrices(tasks: int, m: int, n: int, seed: int) -> Tensor:
    return torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(2, 6),
    st.integers(2, 6),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.5, 0.99999, 1.0]),
)
def test_agrees_with_autograd(tasks: int, m: int, n: int, seed: int, energy: float) -> None:
    vectors = matrices(tasks, m, n, seed)
    result = folded(DOP(energy=energy, **SETTINGS), vectors)
    torch.testing.assert_close(result, dop(vectors, energy=energy, **SETTINGS), rtol=1e-3, atol=1e-3)


def test_gradients_as_small_as_the_epsilon_of_adam() -> None:
    vectors = matrices(2, 5, 4, seed=9) * 1e-3
    result = folded(DOP(steps=5, learning_rate=1e-3, decay=1.0), vectors)
    torch.testing.assert_close(result, dop(vectors, 5, 1e-3, 1.0), rtol=1e-6, atol=0)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(3, seed=1)
    result = DOP(0.7, split_qkv=split, outside_layers="merged", **SETTINGS).merge(models[0], models[1:])
    expected = by_hand(models, lambda v: dop(v, **SETTINGS), lambda v: v[0] / 4 + v[1] / 4 + v[2] / 2, "linear", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_what_is_outside_of_layers_is_the_pretrained_models_again_from_the_second_task_on(tasks: int) -> None:
    models = encoders(tasks, seed=7)
    results: dict[str, Any] = {
        how: DOP(outside_layers=how, **SETTINGS).merge(models[0], models[1:])  # type: ignore[arg-type]
        for how in ("pretrained", "first", "merged")
    }
    for name in OUTSIDE_LAYERS:
        torch.testing.assert_close(results["pretrained"][name], models[0 if tasks > 1 else 1][name])
        torch.testing.assert_close(results["first"][name], models[1][name])
    for name in set(SHAPES) - set(OUTSIDE_LAYERS):
        assert all(torch.equal(result[name], results["merged"][name]) for result in results.values())
    default = DOP(**SETTINGS).merge(models[0], models[1:])
    assert all(torch.equal(default[name], results["pretrained"][name]) for name in SHAPES)


@pytest.mark.parametrize("stability", [0.2, 0.5, 0.8])
def test_the_compromise_is_better_than_the_mean(stability: float) -> None:
    vectors = torch.stack([low_rank(2, 8, 8, seed=seed) for seed in (2, 3)])
    losses = []
    for steps in (0, 500):
        result = folded(DOP(steps=steps, learning_rate=0.01, stability=stability, decay=1.0), vectors)
        one, other = (float(distance(result, target, 0.99999)) for target in vectors)
        losses.append(stability * one + (1 - stability) * other)
    assert losses[1] < 0.9 * losses[0]


def test_more_stability_stays_nearer_to_the_first() -> None:
    vectors = matrices(2, 5, 6, seed=4)
    results = [
        folded(DOP(steps=300, learning_rate=0.01, stability=share, decay=1.0), vectors) for share in (0.0, 0.5, 1.0)
    ]
    distances = [float(distance(result, vectors[0], 1.0)) for result in results]
    assert all(farther > 2 * nearer for farther, nearer in itertools.pairwise(distances))


@pytest.mark.parametrize("decay", [0.0, 0.999, 1.0])
def test_copies_of_a_task_stay_as_they_are(decay: float) -> None:
    vector = low_rank(3, 5, 4, seed=5).float()
    assert torch.equal(folded(DOP(learning_rate=0.1, decay=decay), torch.stack([vector] * 3)), vector)
    assert not folded(DOP(decay=decay), torch.zeros(3, 2, 2)).any()


def test_beside_a_task_that_changed_nothing_the_other_wins_where_it_has_learned_something() -> None:
    vector = low_rank(4, 5, 4, seed=6)
    result = folded(DOP(steps=2000, learning_rate=0.01), torch.stack([torch.zeros_like(vector), vector]))
    assert distance(result, vector, 0.99999) < 1e-4 * distance(vector / 2, vector, 0.99999)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": -1},
        {"learning_rate": -1.0},
        {"stability": 1.5},
        {"decay": -0.1},
        {"energy": 2.0},
        {"outside_layers": "last"},
    ],
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        DOP(**wrong)
