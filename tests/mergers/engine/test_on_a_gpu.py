"""With θ_0 on a GPU the work is done there, and the result is what the CPU finds, but for rounding."""

from unittest import mock

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import CMM, BaseMerger, CoFiMA, Fisher, RegMean, RunningMerge, fast
from tests.mergers.matrix_models import SHAPES, encoders
from tests.mergers.one_model import one_model
from tests.mergers.test_mergers import METHODS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

MERGERS = {name: method.merger(0.7) for name, method in METHODS.items()} | {
    "cmm": CMM(scaling=0.7),
    "cofima": CoFiMA(scaling=0.7),
    "fisher": Fisher(0.7),
    "regmean": RegMean(0.7),
}
every_merger = pytest.mark.parametrize("merger", MERGERS.values(), ids=MERGERS)


def on_gpu(model: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cuda() for name, tensor in model.items()}


def left_behind(merger: BaseMerger, seed: int) -> dict[str, dict[str, Tensor]]:
    model = encoders(1, seed, torch.float32)[1]
    squares = {name: model[name].square() for name in SHAPES}
    grams = {name: tensor.T @ tensor for name, tensor in model.items() if tensor.dim() == 2 and tensor.numel()}
    return {key: grams if key == "grams" else squares for key in merger.requires}


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@every_merger
@pytest.mark.parametrize("files", [True, False], ids=["tasks on the CPU", "tasks on the GPU"])
def test_agrees_with_the_cpu(merger: BaseMerger, files: bool, threads: None) -> None:
    pretrained, *finetuned = encoders(4, seed=3, dtype=torch.float32)
    statistics = [left_behind(merger, task) for task in range(4)]
    expected = one_model(merger, pretrained, finetuned, statistics)
    with mock.patch.object(fast, "write", side_effect=AssertionError("this is for arrays")):
        models = finetuned if files else [on_gpu(model) for model in finetuned]
        merged = one_model(merger, on_gpu(pretrained), models, statistics)
    assert {tensor.device.type for tensor in merged.values()} == {"cuda"}
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[name].cpu(), tensor, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


@every_merger
def test_task_by_task_with_each_scaling(merger: BaseMerger, threads: None) -> None:
    pretrained, *finetuned = encoders(3, seed=4, dtype=torch.float32)
    results = []
    for start in (pretrained, on_gpu(pretrained)):
        running = RunningMerge(merger, start)
        for task, weights in enumerate(finetuned):
            running.add(weights, left_behind(merger, task))
        if merger.per_task:
            results.append([running.merged_for(task) for task in (1, 2, 3)])
        else:
            results.append([running.merged(), *running.merged_with_each([0.3, 0.7])])
    for expected, merged in zip(*results, strict=True):
        for name, tensor in expected.items():
            torch.testing.assert_close(merged[name].cpu(), tensor, rtol=1e-4, atol=1e-4)
