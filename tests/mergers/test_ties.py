import pytest
import torch

from cl_bench.mergers import RunningMerge, Ties


def merged(*vectors: list[float], density: float = 1.0, scope: str = "encoder", frozen: int = 0) -> list[float]:
    finetuned = [{"w": torch.tensor(vector)} for vector in vectors]
    merger = Ties(1.0, density, scope)  # type: ignore[arg-type]
    result = merger.merge({"w": torch.zeros(len(vectors[0]))}, finetuned, frozen)
    return [round(value, 5) for value in result["w"].tolist()]


def test_trims_over_the_whole_vector_and_keeps_what_equals_the_smallest() -> None:
    assert merged([1.0, -5.0, 4.0, 2.0], density=0.5) == [0.0, -5.0, 4.0, 0.0]
    assert merged([3.0, -3.0, 3.0, 2.0], density=0.5) == [3.0, -3.0, 3.0, 0.0]
    parts = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([8.0, 9.0])}
    whole = Ties(1.0, 0.5, "encoder").merge({name: torch.zeros(2) for name in parts}, [parts])
    assert whole["a"].tolist() == [0.0, 0.0] and whole["b"].tolist() == [8.0, 9.0]


@pytest.mark.parametrize(
    ("scope", "frozen", "expected"),
    [
        ("encoder", 0, [0.0, 0.0, 0.0, 4.0]),
        ("encoder", 8, [0.0, 0.0, 0.0, 4.0]),
        ("whole_model", 0, [0.0, 0.0, 0.0, 4.0]),
        ("whole_model", 8, [0.0, 2.0, 3.0, 4.0]),
        ("whole_model", 800, [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_frozen_parameters_count_in_the_whole_model_only(scope: str, frozen: int, expected: list[float]) -> None:
    assert merged([1.0, 2.0, 3.0, 4.0], density=0.25, scope=scope, frozen=frozen) == expected


def test_published_scope_keeps_a_third_of_the_encoder() -> None:
    # CLIP ViT-B/16 at one thousandth: 86.2 M trained and 63.4 M frozen parameters.
    vector = torch.rand(86_193, generator=torch.Generator().manual_seed(0))
    result = Ties(1.0).merge({"w": torch.zeros(86_193)}, [{"w": vector}], frozen_parameters=63_428)["w"]
    assert (result != 0).double().mean().item() == pytest.approx(0.347, abs=5e-4)


def test_at_least_one_element_is_kept() -> None:
    assert merged([1.0, -2.0], density=0.1) == [0.0, -2.0]


def test_mean_of_the_values_with_the_elected_sign() -> None:
    assert merged([3.0], [-1.0], [1.0]) == [2.0]
    assert merged([-3.0], [-1.0], [1.0]) == [-2.0]
    assert merged([0.0], [0.0]) == [0.0]


def test_sum_of_zero_takes_the_majority_sign_of_the_whole_vector() -> None:
    assert merged([2.0, 1.0], [-2.0, 1.0]) == [2.0, 1.0]
    assert merged([2.0, -1.0], [-2.0, -1.0]) == [-2.0, -1.0]
    assert merged([2.0], [-2.0]) == [-2.0]
    assert merged([2.0, 1.0, -1.0], [-2.0, 1.0, -1.0]) == [-2.0, 1.0, -1.0]


def test_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="trim_scope"):
        Ties(trim_scope="model")  # type: ignore[arg-type]


def test_the_majority_sign_is_the_whole_models_task_by_task_too() -> None:
    """Where kept values cancel out, the sign that most elements of all parameters have decides, not of the last."""
    models = [
        {"undecided": torch.zeros(2), "many": torch.zeros(9), "few": torch.zeros(3)},
        {"undecided": torch.tensor([1.0, -1.0]), "many": torch.ones(9), "few": -torch.ones(3)},
        {"undecided": torch.tensor([-1.0, 1.0]), "many": torch.ones(9), "few": -torch.ones(3)},
    ]
    running = RunningMerge(Ties(1.0, 1.0), models[0])
    for model in models[1:]:
        running.add(model)
    at_once = Ties(1.0, 1.0).merge(models[0], models[1:])
    assert running.merged()["undecided"].tolist() == at_once["undecided"].tolist() == [1, 1]


def test_every_task_is_folded_once_though_the_majority_sign_is_known_last(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(3)
    models = [{name: torch.randn(50, generator=random) for name in ("a", "b", "cancels")} for _ in range(4)]
    for model, value in zip(models, (0.0, 1.0, -1.0, 0.0), strict=True):
        model["cancels"][:] = value
    folded: list[int] = []
    fold = Ties.fold

    def counting(self, state, block):  # type: ignore[no-untyped-def]
        folded.append(block.task)
        fold(self, state, block)

    running = RunningMerge(Ties(1.0, 0.9, "encoder"), models[0])
    for model in models[1:]:
        running.add(model)
    monkeypatch.setattr(Ties, "fold", counting)
    merged = Ties(1.0, 0.9, "encoder").merge(models[0], models[1:])
    assert len(folded) == 3 * 3 and merged["cancels"].count_nonzero() == 50
    assert all(torch.equal(merged[name], running.merged()[name]) for name in models[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threshold_of_a_model_with_many_elements(dtype: torch.dtype) -> None:
    """Enough of them for a sample, in parameters of different scales, the larger ones last."""
    random = torch.Generator().manual_seed(4)
    vectors = {f"p{i}": 10.0**i * torch.randn(70_000 * (i + 1), generator=random, dtype=dtype) for i in range(4)}
    merged = Ties(1.0, 0.3, "encoder").merge({n: torch.zeros_like(v) for n, v in vectors.items()}, [vectors])
    whole = torch.cat(list(vectors.values())).abs()
    threshold = whole.sort(descending=True).values[int(0.3 * len(whole)) - 1]
    for name, vector in vectors.items():
        torch.testing.assert_close(merged[name], vector.where(vector.abs() >= threshold, 0), rtol=0, atol=0)
