"""What a running merge refuses, keeps and costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_bench.mergers import (
    Average,
    Last,
    MagMax,
    Merger,
    RandMix,
    RunningMerge,
    TaskArithmetic,
    Ties,
)
from tests.mergers.conftest import FREED_AT_ONCE

pretrained = {"layer.weight": torch.zeros(2, 3), "layer.bias": torch.zeros(2), "steps": torch.tensor(1)}


def changed(**tensors: Tensor) -> dict[str, Tensor]:
    ones = {name: torch.ones_like(tensor) for name, tensor in pretrained.items()}
    return ones | {name.replace("_", "."): tensor for name, tensor in tensors.items()}


REFUSED = {
    "missing": ({"layer.weight": torch.ones(2, 3), "steps": torch.tensor(1)}, "lacks 'layer.bias'"),
    "extra": (changed(other=torch.ones(1)), "unknown 'other'"),
    "shape": (changed(layer_bias=torch.ones(3)), r"'layer.bias' has shape \(3,\)"),
    "same size": (changed(layer_weight=torch.ones(3, 2)), r"'layer.weight' has shape \(3, 2\)"),
    "shape of a buffer": (changed(steps=torch.ones(1, dtype=torch.int64)), "'steps' has shape"),
    "nan": (changed(layer_weight=torch.full((2, 3), torch.nan)), "'layer.weight' has a NaN or infinite"),
    "infinity": (changed(layer_bias=torch.tensor([0.0, torch.inf])), "'layer.bias' has a NaN or infinite"),
    "both": (changed(layer_bias=torch.tensor([-torch.inf, torch.inf])), "'layer.bias' has a NaN or infinite"),
    "complex": (changed(layer_bias=torch.ones(2, dtype=torch.complex64)), "'layer.bias' is complex"),
    "no mapping": (torch.ones(2), "must be a mapping"),
}


@pytest.mark.parametrize(("weights", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(
    "merger", [MagMax(), Ties(), RandMix(), TaskArithmetic(1.0)], ids=lambda merger: type(merger).__name__
)
def test_refused_weights_are_named_and_change_nothing(merger: Merger, weights: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merger.merge(pretrained, [changed(), weights])
    running = RunningMerge(merger, pretrained)
    running.add(changed())
    before, state = running.merged(), running.state_dict()
    with pytest.raises(ValueError, match=r"task 2.*" + message):
        running.add(weights)
    assert running.tasks == 1
    assert all(torch.equal(running.merged()[name], before[name]) for name in before)
    assert all(torch.equal(running.state_dict()[name], state[name]) for name in state)


def test_many_differing_names_are_counted() -> None:
    with pytest.raises(ValueError, match=r"lacks '0', '1', '2' and 7 more and has the unknown 'x'"):
        Last().merge({str(i): torch.zeros(1) for i in range(10)}, [{"x": torch.zeros(1)}])


def test_pretrained_is_checked() -> None:
    with pytest.raises(ValueError, match="pretrained: 'w' has a NaN"):
        RunningMerge(MagMax(), {"w": torch.tensor([1.0, torch.nan])})
    with pytest.raises(ValueError, match="frozen_parameters"):
        RunningMerge(MagMax(), pretrained, frozen_parameters=-1)


def test_large_finite_values_are_accepted() -> None:
    # Their sum overflows, which must not be taken for an infinite value.
    large = {"w": torch.full((4,), 3e38)}
    merged = Average().merge({"w": torch.zeros(4)}, [large])
    assert torch.equal(merged["w"], large["w"])


def test_result_that_leaves_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"merged: 'w' has a NaN or infinite value in torch\.float16"):
        TaskArithmetic(2.0).merge({"w": torch.zeros(1).half()}, [{"w": torch.tensor([60000.0]).half()}])


@pytest.mark.parametrize("empty", [[], (), iter([])], ids=["list", "tuple", "iterator"])
def test_empty_list_is_refused(empty: object) -> None:
    with pytest.raises(ValueError, match="finetuned is empty"):
        MagMax().merge(pretrained, empty)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [pretrained, {"task": pretrained}, torch.nn.Sequential(torch.nn.Linear(2, 2)), "a.pt"])
def test_one_model_in_place_of_a_list_is_refused(one: object) -> None:
    with pytest.raises(ValueError, match=r"finetuned has to be a list of models, .* not a \w+"):
        MagMax().merge(pretrained, one)  # type: ignore[arg-type]


@pytest.mark.parametrize("scaling", [float("nan"), float("inf")])
def test_scaling_must_be_finite(scaling: float) -> None:
    with pytest.raises(ValueError, match="scaling"):
        MagMax(scaling)


@pytest.mark.parametrize("merger", [MagMax(), Ties(), RandMix()], ids=lambda merger: type(merger).__name__)
def test_state_survives_a_file(merger: Merger, tmp_path: Path) -> None:
    running = RunningMerge(merger, pretrained)
    running.add(changed())
    save_file(running.state_dict(), tmp_path / "state.safetensors")
    restored = RunningMerge(merger, pretrained)
    restored.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert restored.tasks == 1
    merged = restored.merged()
    assert all(torch.equal(merged[name], tensor) for name, tensor in running.merged().items())


def test_state_dict_is_a_snapshot() -> None:
    running = RunningMerge(MagMax(), pretrained)
    saved = running.state_dict()
    running.add(changed())
    assert all(not tensor.any() for tensor in saved.values())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (RunningMerge(Average(), pretrained).state_dict(), "lacks 'largest/layer.bias'"),
        (
            {**RunningMerge(MagMax(), pretrained).state_dict(), "largest/layer.bias": torch.zeros(3)},
            "layer.bias",
        ),
        (
            {
                **RunningMerge(MagMax(), pretrained).state_dict(),
                "largest/layer.bias": torch.zeros(2).double(),
            },
            "float64",
        ),
    ],
)
def test_foreign_state_is_refused(other: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunningMerge(MagMax(), pretrained).load_state_dict(other)


def test_scaling_may_change_between_merges() -> None:
    running = RunningMerge(MagMax(0.5), pretrained)
    running.add(changed())
    assert running.merged()["layer.bias"].tolist() == [0.5, 0.5]
    running.merger.scaling = 0.25
    assert running.merged()["layer.bias"].tolist() == [0.25, 0.25]


MEASURE_PEAK = """
import re, sys
import torch
from cl_bench.mergers import MagMax, RunningMerge, Ties

def peak_models():
    kib = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    return kib * 1024 / (4 * ELEMENTS)

torch.set_num_threads(1)
ELEMENTS, merger = 10_000_000, {"MagMax": MagMax, "Ties": Ties}[sys.argv[1]]()
merger.merge({"w": torch.zeros(9)}, [{"w": torch.ones(9)}])  # what libraries allocate once
start = peak_models()
pretrained = {"w": torch.ones(ELEMENTS)}
peaks = []
for tasks in (2, 8):
    running = RunningMerge(merger, pretrained)
    for t in range(tasks):
        running.add({"w": torch.arange(ELEMENTS, dtype=torch.float32).remainder_(101 + t)})
    peaks.append(peak_models() - start)
    del running
merger.merge(pretrained, ({"w": pretrained["w"].clone().mul_(t)} for t in range(8)))
print(*peaks, peak_models() - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "state"), [("MagMax", 1), ("Ties", 3)])
def test_memory_does_not_grow_with_tasks(name: str, state: int) -> None:
    output = subprocess.run(
        [sys.executable, "-c", MEASURE_PEAK, name],
        check=True, capture_output=True, text=True, env={**os.environ, **FREED_AT_ONCE},
    ).stdout  # fmt: skip
    two_tasks, eight_tasks, whole_merge = map(float, output.split())
    # θ_0, one task's weights, the state, and a few blocks; the merged model takes the place of the weights.
    few_blocks = 10 * 2**19 / 10_000_000
    assert two_tasks > 2 + state
    assert eight_tasks < 1.01 * two_tasks
    assert max(eight_tasks, whole_merge) < 2 + state + few_blocks
