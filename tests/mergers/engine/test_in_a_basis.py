"""What KnOTS and Core Space owe to any inner method, whatever their directions are."""

import weakref
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import (
    CMM,
    EMR,
    OPCM,
    SVC,
    TSV,
    Average,
    BaseMerger,
    CoreSpace,
    Dare,
    KnOTS,
    Last,
    Lines,
    MagMax,
    ModelStock,
    Rescale,
    RunningMerge,
    Stack,
    TaskArithmetic,
    Ties,
)
from cl_bench.mergers.engine.in_a_basis import Basis
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.mergers.matrix_models import FUSED, SHAPES, encoders

AROUND: dict[str, Callable[[BaseMerger], BaseMerger]] = {
    "knots": KnOTS,
    "knots per matrix": lambda of: KnOTS(of, "per_matrix"),
    "core_space": CoreSpace,
    "core_space together": lambda of: CoreSpace(of, per_matrix=False),
}
every_around = pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@every_around
@pytest.mark.parametrize("of", [TaskArithmetic(0.4), Average(), Last()], ids=lambda of: type(of).__name__)
@pytest.mark.parametrize("tasks", [1, 4])
def test_around_a_linear_method_is_that_method(
    around: Callable[[BaseMerger], BaseMerger], of: BaseMerger, tasks: int
) -> None:
    start, *finetuned = encoders(tasks, seed=tasks)
    merged, alone = around(of).merge(start, finetuned), of.merge(start, finetuned)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], alone[name])
    assert merged["steps"] == 7


@every_around
@pytest.mark.parametrize(
    "of",
    [Ties(0.7, 0.4), Dare(0.4, 0.5, "ties", seed=3), MagMax(0.5), ModelStock(), TSV(1.2), OPCM()],
    ids=lambda of: type(of).__name__,
)
def test_other_parameters_are_merged_as_by_the_inner_method_alone(
    around: Callable[[BaseMerger], BaseMerger], of: BaseMerger
) -> None:
    start, *finetuned = encoders(3, dtype=torch.float32)
    others = [name for name in SHAPES if not name.endswith("weight") or SHAPES[name][0] == 0 or len(SHAPES[name]) != 2]
    merged = around(of).merge(start, finetuned)
    alone = of.merge(*({name: start[name] for name in others}, [{name: m[name] for name in others} for m in finetuned]))
    for name in others:
        torch.testing.assert_close(merged[name], alone[name], rtol=1e-6, atol=1e-6)


@every_around
def test_the_scalings_of_both_are_multiplied(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, *finetuned = encoders(3)
    outer = around(MagMax(0.5))
    outer.scaling = 0.3
    one, half = (merger.merge(start, finetuned) for merger in (around(MagMax(1.0)), outer))
    for name in SHAPES:
        torch.testing.assert_close(half[name] - start[name], (one[name] - start[name]) * 0.15)


@every_around
@pytest.mark.parametrize("of", [lambda: Ties(1.0, 0.4), lambda: TSV()], ids=["ties", "tsv"])
def test_threads_and_the_order_of_parameters_change_no_bit(
    around: Callable[[BaseMerger], BaseMerger], of: Callable[[], BaseMerger]
) -> None:
    generator = torch.Generator().manual_seed(0)
    names = [f"blocks.{i}.{layer}.weight" for i in range(3) for layer in ("fc1", "attn.qkv")]
    models = [
        {name: torch.randn(129, 40, generator=generator) for name in names}
        | {"blocks.0.norm.bias": torch.randn(129, generator=generator)}
        for _ in range(4)
    ]
    threads, merged = torch.get_num_threads(), []
    try:
        for number, order in ((1, 1), (3, 1), (2, -1)):
            torch.set_num_threads(number)
            start, *finetuned = [dict(list(model.items())[::order]) for model in models]
            result = around(of()).merge(start, finetuned)
            merged.append({name: result[name] for name in models[0]})
    finally:
        torch.set_num_threads(threads)
    assert same(merged[0], merged[1]) and same(merged[0], merged[2])


@every_around
def test_parameters_that_were_not_trained_do_not_count(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, *finetuned = encoders(3)
    merged = [around(Ties(1.0, 0.2, scope)).merge(start, finetuned, 10**6) for scope in ("whole_model", "encoder")]  # type: ignore[arg-type]
    assert same(*merged)


@every_around
def test_tasks_that_changed_nothing(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, model = encoders(1)
    assert same(around(Ties(1.0, 0.4)).merge(start, [start] * 3), start)
    merged = around(MagMax(1.0)).merge(start, [start, model, start])
    for name in SHAPES:
        torch.testing.assert_close(merged[name], model[name])


def test_every_scaling_is_written_from_one_merge() -> None:
    class Counted(KnOTS):
        calls = 0

        def basis(self, matrix: Stack) -> Basis:
            Counted.calls += 1
            return super().basis(matrix)

    start, *finetuned = encoders(2)
    running = RunningMerge(Counted(MagMax(1.0)), start)
    for model in finetuned:
        running.add(model)
    results = list(running.merged_with_each([0.2, 0.5]))
    assert Counted.calls == 3 + 2  # fused attention in three parts, and two other layers
    for result, scaling in zip(results, (0.2, 0.5), strict=True):
        assert same(result, KnOTS(MagMax(1.0), scaling=scaling).merge(start, finetuned))


def test_the_task_vectors_of_a_matrix_are_let_go_before_the_next() -> None:
    class Watched(KnOTS):
        seen: ClassVar[list[weakref.ref[Stack]]] = []

        def basis(self, matrix: Stack) -> Basis:
            assert all(stack() is None for stack in self.seen)
            self.seen.append(weakref.ref(matrix))
            return super().basis(matrix)

    start, *finetuned = encoders(2)
    Watched(MagMax(1.0)).merge(start, finetuned)
    assert len(Watched.seen) == 5


@pytest.mark.parametrize("around", [KnOTS, CoreSpace])
def test_coordinates_of_fused_attention_are_not_taken_apart(around: Callable[..., BaseMerger]) -> None:
    """Their rows are directions, though there may be a number of them that can be divided by three."""
    start, *finetuned = encoders(3)
    whole, split = (around(TSV(split_qkv=split), split_qkv=False).merge(start, finetuned) for split in (False, True))
    torch.testing.assert_close(split[FUSED], whole[FUSED])


@every_around
def test_within_another_the_models_are_kept_once(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, *finetuned = encoders(2, dtype=torch.float32)
    running = RunningMerge(SVC(Rescale(around(MagMax(1.0)))), start)
    for model in finetuned:
        running.add(model)
    saved = running.state_dict()
    assert sum(name.endswith("1/proj") for name in saved) == 1
    restored = RunningMerge(SVC(Rescale(around(MagMax(1.0)))), start)
    restored.load_state_dict(saved)
    assert same(restored.merged(), running.merged())


@every_around
def test_what_does_not_fit_coordinates_is_refused(around: Callable[[BaseMerger], BaseMerger]) -> None:
    with pytest.raises(ValueError, match="without statistics of the training: second_moments of CMM belong"):
        around(CMM())
    around(CMM(second_moments=False))
    with pytest.raises(ValueError, match="EMR makes one for each"):
        around(EMR())
    with pytest.raises(ValueError, match="of must be a merger"):
        around("ties")  # type: ignore[arg-type]


@every_around
def test_what_may_look_at_names_and_layers_belongs_around_it(around: Callable[[BaseMerger], BaseMerger]) -> None:
    for of in (Lines(MagMax(1.0), 0.5), Rescale(Last()), KnOTS(Last())):
        with pytest.raises(ValueError, match=f"not itself be around another rule; put {type(of).__name__} around"):
            around(of)
    start, *finetuned = encoders(2)
    merged = Lines(around(TaskArithmetic(1.0)), 0.5, 0.2).merge(start, finetuned)
    alone = Lines(TaskArithmetic(1.0), 0.5, 0.2).merge(start, finetuned)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], alone[name])


def test_refusals_are_messages() -> None:
    node = {"_target_": "cl_bench.mergers.CoreSpace", "of": {"_target_": "cl_bench.mergers.Fisher"}}
    with pytest.raises(UserError, match=r"merger: .*fisher_diagonal of Fisher"):
        instantiate(node, "merger")
    node = {"_target_": "cl_bench.mergers.KnOTS", "of": {"_target_": "cl_bench.mergers.Last"}, "variant": "mine"}
    with pytest.raises(UserError, match=r"merger\.variant"):
        instantiate(node, "merger")
    with pytest.raises(ValueError, match="variant must be"):
        KnOTS(Last(), "mine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="matrices must be"):
        CoreSpace(Last(), matrices="some")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: KnOTS(TaskArithmetic(1.0)), lambda: CoreSpace(TaskArithmetic(1.0))])
def test_weights_of_any_layout_in_memory_give_the_bits_of_a_saved_merge(make: Callable[[], BaseMerger]) -> None:
    generator = torch.Generator().manual_seed(7)
    pretrained, *finetuned = (
        {"mlp.weight": torch.randn(40, 60, dtype=torch.float64, generator=generator).T * 1e3} for _ in range(4)
    )
    kept, saved = RunningMerge(make(), pretrained), RunningMerge(make(), pretrained)
    for model in finetuned:
        kept.add(model)
    saved.load_state_dict(kept.state_dict())
    assert torch.equal(kept.merged()["mlp.weight"], saved.merged()["mlp.weight"])
