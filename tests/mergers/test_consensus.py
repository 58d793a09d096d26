import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import Consensus, TaskArithmetic


def merged(vectors: list[list[float]], threshold: float = 1.0, agreement: int = 2) -> list[float]:
    finetuned = [{"w": torch.tensor(vector)} for vector in vectors]
    merger = Consensus(1.0, threshold, agreement)
    return merger.merge({"w": torch.zeros(len(vectors[0]))}, finetuned)["w"].tolist()


def test_only_what_enough_tasks_use_is_kept() -> None:
    # Used by: both; the first alone; none, as each is small against the two others together.
    assert merged([[1.0, 3.0, 1.0], [1.1, 0.1, 1.0], [0.0, 0.1, 1.0]], 0.8) == [pytest.approx(2.1), 0.0, 0.0]
    assert merged([[1.0, 3.0, 1.0], [1.1, 0.1, 1.0], [0.0, 0.1, 1.0]], 0.8, 1)[1] == pytest.approx(3.2)
    assert merged([[1.0, 3.0, 1.0], [1.1, 0.1, 1.0], [0.0, 0.1, 1.0]], 0.4, 3)[2] == 3.0


def test_a_value_at_the_threshold_is_not_used() -> None:
    assert merged([[2.0], [2.0]], 1.0) == [0.0]
    assert merged([[2.0], [2.0]], 0.99) == [4.0]


def test_one_task_agrees_with_none_and_uses_its_own() -> None:
    assert merged([[1.0, 0.0]]) == [0.0, 0.0]
    assert merged([[1.0, 0.0]], agreement=1) == [1.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(4)), st.integers(0, 5))
def test_the_order_of_tasks_does_not_matter_and_no_agreement_is_task_arithmetic(
    seed: int, order: list[int], agreement: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    finetuned = [{"w": torch.randint(-4, 5, (3, 4), generator=generator) / 4} for _ in order]
    start = {"w": torch.zeros(3, 4)}
    merger = Consensus(0.5, 0.4, agreement)
    result = merger.merge(start, finetuned)["w"]
    assert torch.equal(merger.merge(start, [finetuned[t] for t in order])["w"], result)
    assert agreement != 0 or torch.equal(result, TaskArithmetic(0.5).merge(start, finetuned)["w"])
    assert agreement != 5 or not result.any()


@pytest.mark.parametrize(("threshold", "agreement"), [(-0.1, 2), (0.4, -1)])
def test_negative_settings_are_refused(threshold: float, agreement: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Consensus(1.0, threshold, agreement)
