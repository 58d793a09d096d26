import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import Wudi
from tests.mergers.matrix_models import SHAPES, by_hand, encoders, low_rank


def interference(merged: Tensor, vectors: Tensor) -> Tensor:
    return sum(  # type: ignore[return-value]
        ((merged - vector) @ vector.T).norm().square() / vector.norm().square() for vector in vectors
    )


def wudi(vectors: Tensor, steps: int, learning_rate: float) -> Tensor:
    """Cheng et al., with the gradient that autograd finds, and Adam by hand."""
    merged = vectors.sum(0).requires_grad_()
    mean, square = torch.zeros_like(merged), torch.zeros_like(merged)
    for step in range(1, steps + 1):
        (gradient,) = torch.autograd.grad(interference(merged, vectors), merged)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        direction = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        merged = (merged - learning_rate * direction).detach().requires_grad_()
    return merged.detach()


def matrices(tasks: int, m: int, n: int, seed: int) -> Tensor:
    return torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31), st.integers(0, 6))
def test_agrees_with_autograd(tasks: int, m: int, n: int, seed: int, steps: int) -> None:
    vectors = matrices(tasks, m, n, seed)
    result = Wudi(1.0, steps, 0.01).combine_matrices(vectors.clone())
    torch.testing.assert_close(result, wudi(vectors, steps, 0.01), rtol=1e-6, atol=1e-6)


def test_gradients_as_small_as_the_epsilon_of_adam() -> None:
    vectors = matrices(3, 5, 4, seed=9) * 1e-9
    result = Wudi(1.0, 5, 1e-9).combine_matrices(vectors.clone())
    torch.testing.assert_close(result, wudi(vectors, 5, 1e-9), rtol=1e-6, atol=0)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(3, seed=1)
    result = Wudi(0.7, 4, 0.01, split).merge(models[0], models[1:])
    expected = by_hand(models, lambda v: wudi(v, 4, 0.01), lambda vectors: vectors[0] * 0, "linear", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


def test_interference_falls() -> None:
    vectors = matrices(4, 8, 6, seed=2)
    results = [Wudi(1.0, steps, 0.01).combine_matrices(vectors.clone()) for steps in (0, 10, 300)]
    losses = [float(interference(result, vectors)) for result in results]
    assert losses[0] > losses[1] > 2 * losses[2]


def test_inputs_that_do_not_overlap_leave_the_sum() -> None:
    vectors = torch.zeros(2, 5, 4)
    vectors[0, :, :2], vectors[1, :, 2:] = low_rank(2, 5, 2, seed=3).float(), low_rank(2, 5, 2, seed=4).float()
    assert torch.equal(Wudi().combine_matrices(vectors.clone()), vectors.sum(0))


def test_one_task_keeps_its_vector_bit_for_bit() -> None:
    vector = low_rank(3, 5, 4, seed=5).float()
    assert torch.equal(Wudi(learning_rate=0.1).combine_matrices(vector[None].clone()), vector)


def test_a_task_that_changed_nothing_has_no_part() -> None:
    vectors = matrices(2, 5, 4, seed=6)
    with_zeros = torch.cat([vectors, torch.zeros(1, 5, 4, dtype=torch.float64)])
    torch.testing.assert_close(Wudi().combine_matrices(with_zeros), Wudi().combine_matrices(vectors))
    assert not Wudi().combine_matrices(torch.zeros(3, 2, 2)).any()


def test_order_of_the_tasks_does_not_matter() -> None:
    vectors = matrices(4, 5, 7, seed=7)
    results = [Wudi(1.0, 20, 0.01).combine_matrices(stack.clone()) for stack in (vectors, vectors[[2, 0, 3, 1]])]
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("settings_", [{"steps": -1}, {"learning_rate": -1e-5}])
def test_settings_are_checked(settings_: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Wudi(**settings_)  # type: ignore[arg-type]
