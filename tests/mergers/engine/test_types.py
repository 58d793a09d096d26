"""Which types of tensors are weights, and results that a narrow type cannot hold."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cl_bench.mergers import Fisher, Last, Lines, MagMax, Merger, RunningMerge, TaskArithmetic, Wudi
from cl_bench.mergers.engine.blocks import Stack
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.store.atomic import write_safetensors
from cl_bench.store.models import read_model

FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]


class _First(StackMerger):
    def combine_stack(self, stack: Stack) -> Tensor:
        return stack.vectors[0]


MERGERS = [MagMax(), TaskArithmetic(1.0), Last(), Wudi(1.0, 3), Lines(MagMax(1.0), 0.0, None, 1.0)]


def weights(seed: int = 0) -> dict[str, Tensor]:
    return {"w": torch.randn(20, 30, generator=torch.Generator().manual_seed(seed)), "steps": torch.tensor(seed)}


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.bool], ids=str)
def test_what_is_no_weight_where_pretrained_has_one_is_refused(merger: Merger, dtype: torch.dtype) -> None:
    quantized = weights(1) | {"w": (weights(1)["w"] * 20).to(dtype)}
    name = str(dtype).removeprefix("torch.")
    running = RunningMerge(merger, weights())
    for refused in (lambda: merger.merge(weights(), [weights(2), quantized]), lambda: running.add(quantized)):
        with pytest.raises(ValueError, match=rf"'w' is {name}, but floating-point weights \(float32\) in pretrained"):
            refused()
    assert running.tasks == 0


def test_the_same_the_other_way_round() -> None:
    with pytest.raises(ValueError, match="'w' is float32, but int8 in pretrained, which is no weight"):
        MagMax().merge(weights() | {"w": (weights()["w"] * 20).to(torch.int8)}, [weights(1)])


def test_quantized_models_are_not_merged_into_the_pretrained_one() -> None:
    quantized = [{"w": (weights(seed)["w"] * 20).to(torch.int8), "scale": torch.rand(1)} for seed in range(2)]
    with pytest.raises(ValueError, match="'w' differs from pretrained, but is int8"):
        MagMax().merge(quantized[0], quantized[1:])
    assert torch.equal(MagMax().merge(quantized[0], quantized[:1])["w"], quantized[0]["w"])


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64], ids=str)
def test_statistics_are_floating_point(kind: torch.dtype) -> None:
    about = {"w": torch.ones(20, 30).to(kind)}
    with pytest.raises(ValueError, match=r"fisher_diagonal.*'w'"):
        Fisher().merge(weights(), [weights(1)], statistics=[{"fisher_diagonal": about}])


def test_types_that_cannot_be_converted_are_refused() -> None:
    packed = torch.zeros(20, 30, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    with pytest.raises(ValueError, match="'w' is float4_e2m1fn_x2, which cannot be converted"):
        MagMax().merge({"w": torch.zeros(20, 30)}, [{"w": packed}])
    with pytest.raises(ValueError, match="pretrained: 'w' is float4_e2m1fn_x2"):
        MagMax().merge({"w": packed}, [{"w": packed}])


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_weights_of_8_bits_are_merged_in_float32(merger: Merger, dtype: torch.dtype, tmp_path: Path) -> None:
    models = [{"w": weights(seed)["w"].to(dtype)} for seed in range(3)]
    for number, (model, ending) in enumerate(zip(models, ("safetensors", "pt", "safetensors"), strict=True)):
        save = torch.save if ending == "pt" else save_file
        save(model, tmp_path / f"{number}.{ending}")
    files = [tmp_path / f"{number}.{ending}" for number, ending in enumerate(("safetensors", "pt", "safetensors"))]
    wide = [{"w": model["w"].float()} for model in models]
    expected = merger.merge(wide[0], wide[1:])["w"].to(dtype)
    running = RunningMerge(merger, files[0])
    for file in files[1:]:
        running.add(file)
    for merged in (merger.merge(files[0], files[1:]), running.merged()):
        assert merged["w"].dtype == dtype and torch.equal(merged["w"].float(), expected.float())
    write_safetensors(tmp_path / "out.safetensors", merged)
    assert torch.equal(read_model(tmp_path / "out.safetensors")["w"].float(), expected.float())


@pytest.mark.parametrize(
    "merger", [m for m in MERGERS if not isinstance(m, Wudi)] + [_First(1.0)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("dtype", [*FLOAT8, torch.float16, torch.bfloat16], ids=str)
def test_a_result_beyond_the_range_of_its_type_is_refused(merger: Merger, dtype: torch.dtype) -> None:
    model = {"w": torch.full((4, 4), torch.finfo(dtype).max)}
    merger.scaling = 1.1
    with pytest.raises(ValueError, match=r"merged: 'w'"):
        merger.merge({"w": torch.zeros(4, 4, dtype=dtype)}, [model])
    running = RunningMerge(merger, {"w": torch.zeros(4, 4, dtype=dtype)})
    running.add(model)
    with pytest.raises(ValueError, match=r"merged: 'w'"):
        running.merged()


@pytest.mark.parametrize("dtype", [*FLOAT8, torch.float16, torch.bfloat16], ids=str)
def test_the_largest_number_of_a_type_is_in_its_range(dtype: torch.dtype) -> None:
    largest = {"w": torch.full((4, 4), torch.finfo(dtype).max)}
    merged = MagMax(1.0).merge({"w": torch.zeros(4, 4, dtype=dtype)}, [largest])
    assert torch.equal(merged["w"].float(), largest["w"])


def test_a_type_without_a_sign_takes_no_negative_result() -> None:
    with pytest.raises(ValueError, match=r"merged: 'w' has values from -2 .*float8_e8m0fnu cannot hold"):
        MagMax(2.0).merge({"w": torch.full((4,), 2.0).to(torch.float8_e8m0fnu)}, [{"w": torch.zeros(4)}])


@pytest.mark.parametrize("merger", MERGERS, ids=lambda merger: type(merger).__name__)
@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_infinity_does_not_end_at_the_largest_number(merger: Merger, dtype: torch.dtype) -> None:
    infinite = {"w": torch.full((4, 4), torch.inf)}
    with pytest.raises(ValueError, match=r"task 1\): 'w' has a NaN or infinite value"):
        merger.merge({"w": torch.zeros(4, 4, dtype=dtype)}, [infinite])


@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_a_nan_of_8_bits_is_found(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"task 1\): 'w' has a NaN"):
        MagMax().merge({"w": torch.zeros(3)}, [{"w": torch.tensor([0.0, torch.nan, 1.0]).to(dtype)}])
