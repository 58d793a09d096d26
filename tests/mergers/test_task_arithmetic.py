import pytest
import torch

from cl_bench.mergers import TaskArithmetic


@pytest.mark.parametrize(("divide_by", "expected"), [("one", 6.0), ("tasks", 1.5), ("sqrt_tasks", 3.0)])
def test_the_sum_is_divided_as_asked(divide_by: str, expected: float) -> None:
    finetuned = [{"w": torch.tensor([value])} for value in (1.0, 3.0, -2.0, 4.0)]
    merged = TaskArithmetic(1.0, divide_by).merge({"w": torch.zeros(1)}, finetuned)  # type: ignore[arg-type]
    assert merged["w"].item() == expected


def test_the_length_stays_where_tasks_are_at_right_angles() -> None:
    finetuned = [{"w": vector} for vector in 2 * torch.eye(9)]
    merged = TaskArithmetic(1.0, "sqrt_tasks").merge({"w": torch.zeros(9)}, finetuned)["w"]
    assert merged.norm().item() == pytest.approx(2.0)


def test_unknown_divisor_is_refused() -> None:
    with pytest.raises(ValueError, match="divide_by"):
        TaskArithmetic(1.0, "two")  # type: ignore[arg-type]
