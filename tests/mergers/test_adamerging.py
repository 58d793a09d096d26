import pytest
import torch

from cl_bench.mergers import AdaMerging, RunningMerge
from tests.mergers.per_task_models import SHAPES, quarters


def test_each_task_vector_counts_with_the_coefficient_of_its_parameter() -> None:
    models = quarters(3, seed=1)
    coefficients = {name: torch.tensor([0.5, 0.25, 1.0]) * (1 + place) / 4 for place, name in enumerate(SHAPES)}
    merger = AdaMerging(scaling=0.5)
    merger.coefficients = lambda name, tasks: coefficients[name][:tasks]
    merged = merger.merge(models[0], models[1:])
    for name in SHAPES:
        vectors = [model[name] - models[0][name] for model in models[1:]]
        expected = sum(c * vector for c, vector in zip(coefficients[name].tolist(), vectors, strict=True))
        torch.testing.assert_close(merged[name], models[0][name] + 0.5 * expected, rtol=0, atol=1e-12)


def test_without_coefficients_there_is_nothing_to_merge_by() -> None:
    models = quarters(2, seed=2)
    with pytest.raises(
        ValueError, match="AdaMerging has no coefficients for 2 tasks: a run learns them on test images"
    ):
        AdaMerging().merge(models[0], models[1:])
    running = RunningMerge(AdaMerging(), models[0])
    running.add(models[1])
    assert running.parameters == list(SHAPES) and torch.equal(running.stack("bias").weights[0], models[1]["bias"])
    with pytest.raises(ValueError, match="granularity must be"):
        AdaMerging("block_wise")  # type: ignore[arg-type]
