"""SLERP against its formula in double precision, and what an arc does that a line does not."""

import math

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import Average, Slerp
from tests.mergers.matrix_models import SHAPES, encoders


def by_hand(vectors: list[Tensor]) -> Tensor:
    """Task by task, in float64, with the angle between the vectors."""
    merged = vectors[0]
    for task, vector in enumerate(vectors[1:], start=2):
        lengths = merged.norm() * vector.norm()
        cosine = float((merged * vector).sum() / lengths) if lengths else 1.0
        if abs(cosine) > 0.9995:
            merged = (1 - 1 / task) * merged + vector / task
        else:
            angle = math.acos(cosine)
            old, new = math.sin((1 - 1 / task) * angle), math.sin(angle / task)
            merged = (old * merged + new * vector) / math.sin(angle)
    return merged


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_formula(seed: int) -> None:
    start, *finetuned = encoders(4, seed)
    merged = Slerp(0.7).merge(start, finetuned)
    for name in SHAPES:
        expected = start[name] + 0.7 * by_hand([model[name] - start[name] for model in finetuned])
        torch.testing.assert_close(merged[name], expected)


def merged(*vectors: list[float]) -> Tensor:
    """Of task vectors that start from zero."""
    models = [{"w": torch.tensor(vector, dtype=torch.float64)} for vector in ([0.0] * len(vectors[0]), *vectors)]
    return Slerp().merge(models[0], models[1:])["w"]


def test_vectors_of_one_length_keep_it_on_the_arc() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 60, generator=generator, dtype=torch.float64)
    vectors /= vectors.norm(dim=1, keepdim=True)
    assert float(merged(*vectors.tolist()).norm()) == pytest.approx(1)
    assert float(vectors.mean(0).norm()) < 0.6


def test_two_at_right_angles_meet_in_the_middle_of_the_arc() -> None:
    torch.testing.assert_close(merged([1.0, 0.0], [0.0, 1.0]), torch.full((2,), math.sqrt(0.5), dtype=torch.float64))


@pytest.mark.parametrize(
    "other", [[3.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [3.0, 0.01]], ids=["same", "opposite", "0", "near"]
)
def test_where_no_arc_is_determined_it_is_the_line(other: list[float]) -> None:
    torch.testing.assert_close(
        merged([1.0, 0.0], other), torch.tensor([1.0, 0.0], dtype=torch.float64).add(torch.tensor(other)).div(2)
    )


def test_vectors_of_zero_count_as_tasks() -> None:
    torch.testing.assert_close(
        merged([0.0, 0.0], [2.0, 0.0], [0.0, 0.0]), torch.tensor([2 / 3, 0.0], dtype=torch.float64)
    )


def test_a_short_arc_is_almost_the_average() -> None:
    start, one = encoders(1)
    other = {
        name: tensor + 0.01 * tensor.sin() if tensor.is_floating_point() else tensor for name, tensor in one.items()
    }
    for name, tensor in Slerp().merge(start, [one, other]).items():
        torch.testing.assert_close(tensor, Average().merge(start, [one, other])[name], rtol=1e-3, atol=1e-3)
