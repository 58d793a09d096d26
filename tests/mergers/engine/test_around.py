"""What is handed through to the inner method, whatever it is, and what the running merge owes to both."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_bench.mergers import (
    CMM,
    OPCM,
    SVC,
    TSV,
    Average,
    BaseMerger,
    Dare,
    Last,
    Lines,
    MagMax,
    Rescale,
    RunningMerge,
    TaskArithmetic,
    Ties,
)
from cl_bench.mergers.engine.around import Around, Merged, Whole
from cl_bench.mergers.engine.blocks import Stack
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.conftest import ROOT
from tests.mergers.matrix_models import FULL, SHAPES, encoders


class Same(Around):
    """Changes nothing."""

    def __init__(self, of: BaseMerger, scaling: float = 1.0) -> None:
        super().__init__(of, scaling)

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Nothing."""
        return lambda merged: merged.vector


INNER: dict[str, Callable[[], BaseMerger]] = {
    "elementwise": lambda: MagMax(0.5),
    "looks": lambda: Ties(0.55, 0.4),
    "draws": lambda: Dare(0.4, 0.5, "ties", seed=3),
    "stack": lambda: TSV(1.2),
}
AROUND: dict[str, Callable[[BaseMerger], BaseMerger]] = {
    "lines": lambda of: Lines(of, 0.4),
    "rescale": lambda of: Rescale(of, "parameter"),
    "svc": lambda of: SVC(of, 0.2),
    "svc of lines": lambda of: SVC(Lines(of, 0.3, 0.5)),
    "rescale of svc": lambda of: Rescale(SVC(of)),
    "svc of rescale of svc": lambda of: SVC(Rescale(SVC(of))),
}
every_inner = pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
every_around = pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@every_inner
def test_without_a_change_all_is_as_the_inner_method_has_it(inner: Callable[[], BaseMerger]) -> None:
    start, *finetuned = encoders(3, dtype=torch.float32)
    alone = RunningMerge(inner(), start, frozen_parameters=50)
    around = RunningMerge(Same(Same(inner())), start, frozen_parameters=50)
    for model in finetuned:
        alone.add(model)
        around.add(model)
        assert around.tasks == alone.tasks
        assert same(around.merged(), alone.merged())


@every_inner
@every_around
def test_restored_from_a_file_equals_uninterrupted(
    inner: Callable[[], BaseMerger], around: Callable[[BaseMerger], BaseMerger], tmp_path: Path
) -> None:
    start, *finetuned = encoders(3, dtype=torch.float32)
    stopped = RunningMerge(around(inner()), start)
    for model in finetuned[:2]:
        stopped.add(model)
    save_file(stopped.state_dict(), tmp_path / "state.safetensors")
    restored = RunningMerge(around(inner()), start)
    restored.load_state_dict(load_file(tmp_path / "state.safetensors"))
    for merge in (stopped, restored):
        merge.add(finetuned[2])
    assert restored.tasks == 3
    assert same(restored.merged(), stopped.merged())
    assert same(restored.state_dict(), stopped.state_dict())
    # Merging looks at everything, but uses nothing up.
    assert same(restored.merged(), around(inner()).merge(start, finetuned))


def test_one_around_another_does_one_after_the_other() -> None:
    start, *finetuned = encoders(3)
    inner = Lines(MagMax(0.5), 0.0, 0.7).merge(start, finetuned)
    both = Lines(Lines(MagMax(0.5), 0.0, 0.7, 2.0), 0.0, 0.3, -1.0).merge(start, finetuned)
    for name in SHAPES:
        torch.testing.assert_close(both[name] - start[name], (inner[name] - start[name]) * 2 * 0.3 * -1)


def test_models_are_in_the_state_once() -> None:
    start, *finetuned = encoders(2)
    merge = RunningMerge(SVC(Rescale(SVC(Average()), "model")), start)
    for model in finetuned:
        merge.add(model)
    names = [*SHAPES, "steps"]
    assert set(merge.state_dict()) == {
        "tasks",
        "of.length",
        *(f"of.of.{task}/{name}" for task in (1, 2) for name in names),
        *(f"of.of.of.sum_of_weights/{name}" for name in SHAPES),
    }


@every_around
def test_statistics_are_handed_through(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, *finetuned = encoders(2)
    merger = around(CMM())
    assert merger.requires == {"second_moments"} and not merger.restarts
    merge = RunningMerge(merger, start)
    with pytest.raises(ValueError, match=r"task 1.*second_moments"):
        merge.add(finetuned[0])
    assert merge.tasks == 0
    moments = [{"second_moments": {name: torch.full(SHAPES[name], t) for name in SHAPES}} for t in (1.0, 9.0)]
    for model, left_behind in zip(finetuned, moments, strict=True):
        merge.add(model, left_behind)
    saved = merge.state_dict()
    restored = RunningMerge(around(CMM()), start)
    restored.load_state_dict(saved)
    assert same(restored.merged(), merge.merged())
    assert same(merger.merge(start, finetuned, statistics=moments), merge.merged())
    assert not same(merger.merge(start, finetuned, statistics=moments[::-1]), merge.merged())


@every_around
def test_refused_weights_change_nothing(around: Callable[[BaseMerger], BaseMerger]) -> None:
    start, model = encoders(1)
    merge = RunningMerge(around(MagMax(0.5)), start)
    merge.add(model)
    before = merge.state_dict()
    with pytest.raises(ValueError, match=r"task 2\): 'proj' has a NaN"):
        merge.add(model | {"proj": model["proj"] * torch.nan})
    with pytest.raises(ValueError, match=r"task 2\) lacks 'proj'"):
        merge.add({name: tensor for name, tensor in model.items() if name != "proj"})
    assert merge.tasks == 1 and same(merge.state_dict(), before)


@every_around
@pytest.mark.parametrize("change", ["lacks", "unknown", "shape", "tasks", "inner"])
def test_foreign_state_is_refused_and_changes_nothing(around: Callable[[BaseMerger], BaseMerger], change: str) -> None:
    start, *finetuned = encoders(3)
    other = RunningMerge(around(MagMax(0.5)), start)
    for model in finetuned[1:]:
        other.add(model)
    saved = other.state_dict()
    inner = next(name for name in saved if name.endswith(f"/{FULL}") and saved[name].dim() == 2)
    if change == "unknown":
        saved["other/proj"] = torch.zeros(())
    elif change == "shape":
        saved[inner] = saved[inner][:1]
    else:
        del saved[{"lacks": inner, "tasks": "tasks", "inner": max(saved, key=lambda name: name.count("of."))}[change]]
    merge = RunningMerge(around(MagMax(0.5)), start)
    merge.add(finetuned[0])
    before = merge.state_dict()
    with pytest.raises(ValueError, match="state_dict"):
        merge.load_state_dict(saved)
    assert merge.tasks == 1 and same(merge.state_dict(), before)


def test_what_is_looked_at_is_not_merged_twice() -> None:
    class Counted(TSV):
        calls = 0

        def combine_stack(self, stack: Stack) -> Tensor:
            Counted.calls += 1
            return super().combine_stack(stack)

    start, *finetuned = encoders(2)
    Lines(Rescale(Counted(1.0)), 0.2).merge(start, finetuned)
    assert Counted.calls == len(SHAPES)


@pytest.mark.parametrize("around", ["lines", "rescale"])
def test_around_a_method_with_running_state_the_memory_does_not_grow_with_the_tasks(around: str) -> None:
    start, *finetuned = encoders(5)
    merge, elements = RunningMerge(AROUND[around](MagMax(0.5)), start), set()
    for model in finetuned:
        merge.add(model)
        elements.add(sum(tensor.numel() for tensor in merge.state_dict().values()))
    assert len(elements) == 1


def test_progress_adds_up_to_one() -> None:
    start, *finetuned = encoders(3)
    shares: list[float] = []
    Lines(TSV(1.0), 0.2).merge(start, finetuned, on_progress=shares.append)
    assert sum(shares) == pytest.approx(1)


def test_weights_cannot_take_the_place_of_what_was_merged() -> None:
    start, model = encoders(1)
    merge = RunningMerge(Rescale(CMM(second_moments=False)), start)
    with pytest.raises(ValueError, match="Rescale cannot go on"):
        merge.restart(model)


def test_what_is_no_merger_is_refused() -> None:
    with pytest.raises(ValueError, match="of must be a merger"):
        Rescale("ties")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"merger\.of"):
        instantiate({"_target_": "cl_bench.mergers.Rescale", "of": "ties"}, "merger")


def merger_of(*overrides: str) -> BaseMerger:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*overrides, "logger.save_dir=."])
    merger = instantiate(OmegaConf.to_container(config, resolve=True)["merger"], "merger")
    assert isinstance(merger, BaseMerger)
    return merger


def test_the_inner_method_is_chosen_on_the_command_line() -> None:
    lines = merger_of("merger=lines", "merger.beta=0.5", "merger@merger.of=ties", "merger.of.density=0.3")
    assert isinstance(lines, Lines) and isinstance(lines.of, Ties)
    assert (lines.of.density, lines.of.scaling, lines.scaling) == (0.3, 1.0, 1.0)


def test_published_inner_methods() -> None:
    lines, svc, rescale = (
        merger_of(f"merger={name}", *more) for name, *more in (["lines", "merger.beta=0.5"], ["svc"], ["rescale"])
    )
    assert isinstance(lines, Lines) and isinstance(lines.of, TaskArithmetic) and lines.of.scaling == 1
    assert isinstance(svc, SVC) and isinstance(svc.of, TaskArithmetic) and svc.of.scaling == 0.3
    assert isinstance(rescale, Rescale) and isinstance(rescale.of, Average)
    # Another inner method has its own λ.
    assert isinstance(tsv := merger_of("merger=svc", "merger@merger.of=tsv"), SVC) and tsv.of.scaling == TSV().scaling
    assert isinstance(ties := merger_of("merger=svc", "merger@merger.of=ties"), SVC) and ties.of.scaling == 0.55


@pytest.mark.parametrize(
    ("name", "inner"), [("knots", Ties), ("core_space", TSV), ("weight_weaving", TaskArithmetic)], ids=str
)
def test_what_has_a_scaling_of_its_own_gives_every_inner_method_the_scaling_1(
    name: str, inner: type[BaseMerger]
) -> None:
    published, other = merger_of(f"merger={name}"), merger_of(f"merger={name}", "merger@merger.of=magmax")
    assert isinstance(published.of, inner) and isinstance(other.of, MagMax)  # type: ignore[attr-defined]
    assert published.of.scaling == other.of.scaling == published.scaling == 1  # type: ignore[attr-defined]


def test_three_deep_on_the_command_line() -> None:
    merger = merger_of(
        "merger=svc", "merger@merger.of=rescale", "merger@merger.of.of=magmax", "merger.of.of.scaling=0.3"
    )
    assert isinstance(merger, SVC) and isinstance(merger.of, Rescale) and isinstance(merger.of.of, MagMax)
    assert merger.of.of.scaling == 0.3 and not isinstance(merger.of.of, Last)


def test_a_rule_gains_from_a_gpu_where_it_or_the_rule_inside_computes_much() -> None:
    assert not MagMax().gains_from_a_gpu and not Rescale(MagMax()).gains_from_a_gpu
    assert all(rule.gains_from_a_gpu for rule in (OPCM(), TSV(), Rescale(TSV()), SVC(MagMax())))
