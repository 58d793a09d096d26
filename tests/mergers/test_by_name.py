"""Rules and λ by parameters' names, against each rule alone with its own parameters."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import (
    CMM,
    SVC,
    TSV,
    Average,
    BaseMerger,
    Last,
    Lines,
    MagMax,
    RegMean,
    Rescale,
    RunningMerge,
    TaskArithmetic,
    Ties,
)
from cl_bench.mergers.by_name import ByName, Rule
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from cl_bench.testing import check_merger
from tests.mergers.matrix_models import FULL, FUSED, SHAPES, WIDE, encoders

Models = Sequence[dict[str, Tensor]]
IN_MLP = [name for name in SHAPES if ".mlp." in name]
OTHERS = [name for name in SHAPES if ".mlp." not in name]


def only(models: Models, names: Sequence[str]) -> list[dict[str, Tensor]]:
    return [{name: model[name] for name in names} for model in models]


def alone(merger: BaseMerger, models: Models, names: Sequence[str]) -> dict[str, Tensor]:
    """What a rule makes of some parameters, when it is given no others."""
    start, *finetuned = only(models, names)
    return merger.merge(start, finetuned)


@pytest.mark.parametrize(
    "of", [Average(), TSV(0.6), Rescale(TaskArithmetic(0.5))], ids=lambda rule: type(rule).__name__
)
@pytest.mark.parametrize("rule", [Ties(0.7, 0.4), TSV(), Lines(MagMax(), 0.5)], ids=lambda rule: type(rule).__name__)
def test_each_rule_sees_its_own_parameters_alone(of: BaseMerger, rule: BaseMerger) -> None:
    models = encoders(3, seed=1)
    merger = ByName(of, [Rule("*.mlp.*", rule, 0.5)], 0.9)
    merged = merger.merge(models[0], models[1:])
    for method, names, scaling in ((of, OTHERS, 0.9), (rule, IN_MLP, 0.45)):
        expected = alone(method, models, names)
        for name in names:
            change = scaling * (expected[name] - models[0][name])
            torch.testing.assert_close(merged[name] - models[0][name], change, rtol=1e-9, atol=1e-12)
    assert list(merged) == list(models[0]) and merged["steps"] == 7


@pytest.mark.parametrize("of", [Ties(0.7, 0.4), TSV(), Rescale(TaskArithmetic(0.5))], ids=lambda of: type(of).__name__)
def test_a_pattern_that_brings_a_scaling_leaves_the_parameters_with_the_others(of: BaseMerger) -> None:
    models = encoders(3, seed=2)
    merged = ByName(of, [Rule("*.mlp.c_fc.*", scaling=0.25), Rule("*.mlp.*", scaling=-2)]).merge(models[0], models[1:])
    together = of.merge(models[0], models[1:])
    for name in SHAPES:
        factor = {FULL: 0.25, WIDE: -2.0}.get(name, 1.0)
        change = factor * (together[name] - models[0][name])
        torch.testing.assert_close(merged[name] - models[0][name], change, rtol=1e-9, atol=1e-12)
    assert FUSED not in (FULL, WIDE)


def test_whether_a_rule_is_named_again_or_a_scaling_makes_the_difference_of_what_it_sees() -> None:
    models = encoders(3, seed=3)
    one, other = (
        ByName(Ties(1, 0.2, "encoder"), [Rule("*.mlp.*", merger, 0.5)]).merge(models[0], models[1:])
        for merger in (None, Ties(1, 0.2, "encoder"))
    )
    assert not torch.equal(one[FULL], other[FULL])


def test_frozen_parameters_count_with_the_method_of_the_others() -> None:
    start, *finetuned = encoders(2, seed=4)
    named = ByName(Ties(1, 0.1), [Rule("*.mlp.*", Ties(1, 0.1))])
    without, with_frozen = (named.merge(start, finetuned, frozen) for frozen in (0, 500))
    assert torch.equal(without[FULL], with_frozen[FULL])
    assert not torch.equal(without[FUSED], with_frozen[FUSED])


def test_statistics_go_to_the_rules_that_ask_for_them() -> None:
    start, *finetuned = encoders(2, seed=5)
    moments = [{name: torch.full(shape, t, dtype=torch.float64) for name, shape in SHAPES.items()} for t in (1.0, 9.0)]
    grams = [{FULL: (1 + t) * torch.eye(4, dtype=torch.float64)} for t in range(2)]
    merger = ByName(Average(), [Rule("*.c_proj.*", CMM(0.4)), Rule("*.c_fc.*", RegMean())])
    assert merger.requires == {"second_moments", "grams"}
    left = [{"second_moments": m, "grams": g} for m, g in zip(moments, grams, strict=True)]
    merged = merger.merge(start, finetuned, statistics=left)
    cmm, regmean = CMM(0.4), RegMean()
    own = [{"second_moments": {WIDE: m[WIDE]}} for m in moments]
    expected = cmm.merge({WIDE: start[WIDE]}, only(finetuned, [WIDE]), statistics=own)
    torch.testing.assert_close(merged[WIDE], expected[WIDE])
    expected = regmean.merge({FULL: start[FULL]}, only(finetuned, [FULL]), statistics=[{"grams": g} for g in grams])
    torch.testing.assert_close(merged[FULL], expected[FULL])
    with pytest.raises(ValueError, match="ByName needs the statistics 'grams'"):
        merger.merge(start, finetuned, statistics=[{"second_moments": m} for m in moments])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ByName(Average(), [Rule("w*", MagMax()), Rule("m*", TSV()), Rule("v*", scaling=0.5)]),
        lambda: ByName(TSV(), [Rule("*t*", Last(), 0.7), Rule("m*", Ties())]),
    ],
)
def test_keeps_what_every_merger_owes(make) -> None:
    check_merger(make)


def test_rules_that_see_all_tasks_inside_and_outside() -> None:
    models = encoders(3, seed=6)
    named = ByName(TSV(), [Rule("*.mlp.*", SVC(Average()))])
    running = RunningMerge(SVC(named), models[0])
    for model in models[1:]:
        running.add(model)
    assert running.keeps_models and RunningMerge(named, models[0]).keeps_models
    assert not RunningMerge(ByName(Average(), [Rule("proj", MagMax())]), models[0]).keeps_models
    assert named.memory == "all tasks" and ByName(Average(), [Rule("proj", MagMax())]).memory == "1"
    merged, calibrated = running.merged(), alone(SVC(SVC(Average())), models, IN_MLP)
    for name in IN_MLP:
        torch.testing.assert_close(merged[name], calibrated[name])


def test_a_task_that_one_rule_refuses_reaches_none() -> None:
    start, first, second = encoders(2, seed=7)
    running = RunningMerge(ByName(Average(), [Rule("proj", MagMax())]), start)
    running.add(first)
    before = running.merged()
    with pytest.raises(ValueError, match=r"finetuned \(task 2\): 'conv1.weight' has a NaN"):
        running.add({**second, "conv1.weight": second["conv1.weight"] * torch.nan})
    assert running.tasks == 1 and all(torch.equal(running.merged()[name], before[name]) for name in before)
    state = running.state_dict()
    with pytest.raises(ValueError, match=r"unknown '7\.max'"):
        running.load_state_dict({**state, "7.max": torch.ones(1)})


@pytest.mark.parametrize("short", [Average(weights=[1.0]), TaskArithmetic(1.0, weights=[1.0]), Ties(weights=[1.0])])
@pytest.mark.parametrize("around", [lambda rule: rule, Rescale, lambda rule: ByName(rule, [Rule("proj", Last())])])
def test_a_task_that_one_rule_has_no_weight_for_reaches_none(short: BaseMerger, around) -> None:
    start, first, second = encoders(2, seed=7)
    running = RunningMerge(ByName(around(short), [Rule("conv1.weight", MagMax())]), start)
    running.add(first)
    before = running.merged()
    with pytest.raises(ValueError, match="weights has 1 entries, but there is a task 2"):
        running.add(second)
    assert running.tasks == 1 and all(torch.equal(running.merged()[name], before[name]) for name in before)


NAMES = ("visual.proj", "visual.attn.weight", "visual.mlp.weight")


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (["attn"], "no parameter fits 'attn'; there are: visual.proj, visual.attn.weight, visual.mlp.weight"),
        (["*.weight", "*.mlp.*"], "no parameter that an earlier pattern leaves fits '*.mlp.*'"),
    ],
)
def test_patterns_that_fit_nothing_are_refused_also_of_rules_inside(patterns: list[str], told: str) -> None:
    merger = ByName(Average(), [Rule(pattern, scaling=0.5) for pattern in patterns])
    for outer in (merger, Lines(merger, 0.5), ByName(merger, [Rule("*", scaling=2)])):
        with pytest.raises(ValueError) as refused:
            outer.check_names(NAMES)
        assert told in str(refused.value)
    ByName(merger, [Rule("visual.*", MagMax()), Rule("*", scaling=2)])  # to be made is no mistake yet


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], "rules is empty"),
        ([{"match": "*"}], "'*' brings nothing"),
        ([{"mach": "*", "scaling": 2}], "merger.rules="),
        ([{"match": "*", "merger": "ties"}], "merger is 'ties'; it has to be made"),
        ([{"match": "*", "scaling": float("inf")}], "merger.rules="),
        (
            [{"match": "*", "merger": {"_target_": "cl_bench.mergers.Ties", "density": 3}}],
            "merger.rules.0.merger.density",
        ),
        ([{"match": "*", "merger": {"_target_": "cl_bench.mergers.EMR"}}], "EMR makes one for each"),
        ("*attn*", "merger.rules='*attn*' does not fit"),
    ],
)
def test_settings_that_do_not_fit_are_refused(rules: object, told: str) -> None:
    average = {"_target_": "cl_bench.mergers.Average"}
    with pytest.raises(UserError) as refused:
        instantiate({"_target_": "cl_bench.mergers.ByName", "of": average, "rules": rules}, "merger")
    assert told in str(refused.value)
