import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import ContinualTies
from tests.mergers.matrix_models import SHAPES, encoders

NAMES = sorted(SHAPES)


def trimmed(vector: list[float], density: float) -> list[float]:
    keep = max(1, int(density * len(vector)))
    least = sorted((abs(value) for value in vector), reverse=True)[keep - 1]
    return [value if abs(value) >= least else 0.0 for value in vector]


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def continual_ties(vectors: list[list[float]], alpha: float, density: float) -> list[float]:
    merged = [alpha * value for value in vectors[0]]
    for vector in vectors[1:]:
        pairs = list(zip(trimmed(merged, density), trimmed(vector, density), strict=True))
        signs = [sign(one + other) for one, other in pairs]
        majority = 1 if sum(signs) > 0 else -1
        for i, (pair, elected) in enumerate(zip(pairs, signs, strict=True)):
            merged[i] += alpha * sum(value for value in pair if sign(value) == (elected or majority))
    return merged


def flat(model: dict[str, Tensor]) -> Tensor:
    return torch.cat([model[name].double().flatten() for name in NAMES])


@settings(max_examples=30, deadline=None)
@given(
    tasks=st.integers(1, 5),
    seed=st.integers(0, 2**31),
    alpha=st.sampled_from([0.3, 0.5, 1.0]),
    density=st.sampled_from([0.001, 0.2, 1.0]),
    whole_numbers=st.booleans(),  # so that sums cancel
)
def test_agrees_with_lists(tasks: int, seed: int, alpha: float, density: float, whole_numbers: bool) -> None:
    models = encoders(tasks, seed)
    if whole_numbers:
        models = [{name: tensor.round() for name, tensor in model.items()} for model in models]
        alpha = 1.0
    start, *others = (flat(model) for model in models)
    expected = continual_ties([(other - start).tolist() for other in others], alpha, density)
    merged = flat(ContinualTies(alpha, density, 0.7).merge(models[0], models[1:]))
    torch.testing.assert_close(merged, start + 0.7 * torch.tensor(expected, dtype=torch.float64))


def test_the_first_task_is_not_trimmed() -> None:
    models = encoders(1, seed=2)
    merged = ContinualTies().merge(models[0], models[1:])
    torch.testing.assert_close(flat(merged), (flat(models[0]) + flat(models[1])) / 2)


@pytest.mark.parametrize("density", [0.0, 1.1])
def test_settings_are_checked(density: float) -> None:
    with pytest.raises(ValueError, match="density"):
        ContinualTies(density=density)


def test_a_model_without_elements_stays_as_it_is() -> None:
    empty = {"e": torch.zeros(0, 3)}
    assert ContinualTies().merge(empty, [empty, empty])["e"].shape == (0, 3)
