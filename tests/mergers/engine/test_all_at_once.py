"""A list is merged side by side, block by block: the same bits as task by task, in less memory."""

from itertools import product
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from cl_bench.mergers import (
    CMM,
    TSV,
    Average,
    Dare,
    MagMax,
    Merger,
    ModelStock,
    RandMix,
    TaskArithmetic,
    Ties,
)
from cl_bench.mergers.engine import blocks

SHAPES = {"matrix": (60, 50), "vector": (70,), "number": (), "empty": (0, 3)}
MERGERS = [
    *(MagMax(), Average(), TaskArithmetic(0.3), TaskArithmetic(1, divide_by="sqrt_tasks"), ModelStock()),
    *(Ties(), RandMix(), Dare(), CMM(), TSV()),
]


def model(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    random = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()}
    return random | {"steps": torch.tensor(seed)}


def statistics(merger: Merger, seed: int) -> dict[str, dict[str, Tensor]]:
    squares = {name: tensor.square() for name, tensor in model(seed).items() if name != "steps"}
    return dict.fromkeys(merger.requires, squares)


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_list_and_a_generator_give_the_same_bits_whatever_block_size_and_threads(
    merger: Merger, dtype: torch.dtype
) -> None:
    models, left_behind = [model(seed, dtype) for seed in range(5)], [statistics(merger, seed) for seed in range(4)]
    expected = merger.merge(models[0], (weights for weights in models[1:]), statistics=iter(left_behind))
    for elements, threads in product([7, 1000, 2**19], [1, 2]):
        torch.set_num_threads(threads)
        with mock.patch.object(blocks, "BLOCK_ELEMENTS", elements):
            merged = merger.merge(models[0], models[1:], statistics=left_behind)
        torch.set_num_threads(1)
        assert list(merged) == list(expected)
        assert all(torch.equal(merged[name], tensor) for name, tensor in expected.items())


WHOLE_NUMBERS = arrays(np.float32, (4, 12), elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]))


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
@given(values=WHOLE_NUMBERS, scaling=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_ties_and_zeros_end_alike_in_a_list_and_a_generator(merger: Merger, values: np.ndarray, scaling: float) -> None:
    models = [{"weight": torch.tensor(row)} for row in values]
    left_behind = [{name: {"weight": torch.ones(12)} for name in merger.requires}] * 3
    with mock.patch.object(merger, "scaling", scaling):
        expected = merger.merge(models[0], iter(models[1:]), statistics=left_behind)["weight"]
        merged = merger.merge(models[0], models[1:], statistics=left_behind)["weight"]
    assert torch.equal(merged.view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize(
    "merger", [MagMax(), Average(), Ties(), RandMix(), TSV()], ids=lambda merger: type(merger).__name__
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("error")  # the message is enough
def test_values_are_checked_in_every_task_and_named(merger: Merger, value: float) -> None:
    models = [model(seed) for seed in range(4)]
    models[2]["vector"][-1], models[3]["vector"][-1] = value, -value
    with pytest.raises(ValueError, match=r"task 2\): 'vector' has a NaN or infinite value in torch\.float32"):
        merger.merge(models[0], models[1:], statistics=[statistics(merger, 1)] * 3)


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
def test_progress_adds_up_to_the_whole(merger: Merger) -> None:
    shares: list[float] = []
    models = [model(seed) for seed in range(4)]
    merger.merge(models[0], models[1:], 0, [statistics(merger, 1)] * 3, shares.append)
    assert len(shares) > 3 and all(share >= 0 for share in shares)
    assert sum(shares) == pytest.approx(1)
