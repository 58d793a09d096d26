"""A merged model in another type than θ_0's: rounded once, and never cut off."""

import itertools
from typing import get_args

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import TaskArithmetic
from cl_bench.mergers.engine.result_type import TypeName, converted, wide_enough

TYPES = get_args(TypeName)


def model(seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(50, generator=generator, dtype=torch.float64).to(dtype), "steps": torch.tensor(3)}


@pytest.mark.parametrize(("own", "asked"), list(itertools.product(TYPES, TYPES)))
def test_the_result_is_rounded_to_its_type_alone(own: str, asked: TypeName) -> None:
    start, *finetuned = (model(seed, getattr(torch, own)) for seed in range(3))
    merged = converted(TaskArithmetic(0.3).merge(wide_enough(start, asked), finetuned), asked)
    exact = {name: tensor.double() if name == "w" else tensor for name, tensor in start.items()}
    expected = TaskArithmetic(0.3).merge(exact, finetuned)["w"]
    dtype = getattr(torch, asked)
    assert merged["w"].dtype == dtype and merged["steps"].dtype == torch.int64
    single = torch.promote_types(torch.float32, torch.promote_types(dtype, getattr(torch, own)))  # what it computes in
    half_a_step = torch.finfo(dtype).eps / 2 * expected.abs() + 4 * torch.finfo(single).eps
    assert bool(((merged["w"].double() - expected).abs() <= half_a_step).all())


def test_values_that_the_type_cannot_hold_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"merged: 'w' has values from 1 to 70000, which torch.float16 cannot hold"):
        converted({"w": torch.tensor([1.0, 7e4])}, "float16")
    assert converted({"w": torch.tensor([1.0, 7e4])}, "bfloat16")["w"].isfinite().all()


def test_types_of_8_bits_are_read() -> None:
    eight = {"w": torch.tensor([0.5, -2.0]).to(torch.float8_e4m3fn)}
    assert wide_enough(eight, "bfloat16")["w"].dtype == torch.float32
    assert converted(eight, "bfloat16")["w"].tolist() == [0.5, -2.0]
