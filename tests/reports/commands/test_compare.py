"""Pairs of runs, their differences and the paired test."""

import math
import re
import statistics

import pytest

from cl_bench.reports import comparison
from cl_bench.reports.commands import compare
from cl_bench.reports.runs import RecordedRun
from cl_bench.runtime.errors import UserError
from tests.reports.made_up import record, write


def runs(method, values, scenario="cars_5", **more):
    return [RecordedRun.of(record(method, scenario, seed, value, **more)) for seed, value in values.items()]


def test_differences_interval_and_p_are_those_of_the_paired_t_test():
    a, b = {1: 60.0, 3: 62.0, 5: 61.0}, {5: 63.0, 1: 63.5, 3: 63.0}
    ((one,), unpaired) = comparison.compared(runs("sequential_last", a), runs("sequential_magmax", b))
    assert one.differences == [3.5, 1.0, 2.0] and unpaired == [] and one.method == "Sequential fine-tuning → MagMax"
    mean, error = statistics.mean(one.differences), statistics.stdev(one.differences) / math.sqrt(3)
    t = mean / error
    assert one.p() == pytest.approx(1 - t / math.sqrt(t * t + 2))  # Student's t with two degrees of freedom
    quantile = 4.302652729911275
    assert one.interval() == pytest.approx((mean - quantile * error, mean + quantile * error))


def test_several_methods_are_paired_with_themselves():
    a = runs("cmm", {1: 50.0, 2: 51.0}) + runs("sequential_magmax", {1: 60.0, 2: 61.0}, "cifar100_5")
    b = runs("sequential_magmax", {2: 63.0, 1: 61.0}, "cifar100_5") + runs("cmm", {1: 50.0, 2: 50.0})
    found, unpaired = comparison.compared(a, b)
    assert [(one.method, one.scenario, one.differences) for one in found] == [
        ("MagMax", "cifar100_5", [1.0, 2.0]),
        ("CMM", "cars_5", [0.0, -1.0]),
    ]
    assert unpaired == []


def test_other_orders_seeds_scenarios_and_splits_make_no_pair():
    paired, order, seed, scenario, split = (
        runs("cmm", {1: 50.0}),
        runs("cmm", {2: 50.0}, changes={"scenario.class_order": 7}),
        runs("cmm", {3: 50.0}),
        runs("cmm", {1: 50.0}, "cub200_5"),
        runs("cmm", {4: 50.0}, split="validation"),
    )
    partners = runs("cmm", {1: 52.0, 2: 52.0, 4: 52.0})
    (one,), unpaired = comparison.compared([*paired, *order, *seed, *scenario, *split], partners)
    assert one.differences == [2.0]
    assert unpaired == [*order, *seed, *scenario, *split, *partners[1:]]


@pytest.mark.parametrize("values", [{1: 50.0}, {1: 50.0, 2: 60.0}])
def test_a_single_pair_and_equal_differences_say_nothing_of_chance(values):
    ((one,), _) = comparison.compared(runs("cmm", values), runs("cmm", {s: v + 2 for s, v in values.items()}))
    assert one.p() is None and one.interval() is None


def test_two_different_runs_for_one_place_are_refused():
    a = runs("cmm", {1: 50.0}) + runs("cmm", {1: 50.0}, changes={"merger.scaling": 0.2})
    with pytest.raises(UserError, match="are both cmm on cars_5 with seed 1, with different settings"):
        comparison.compared(a, runs("cmm", {1: 50.0}))


def test_sets_without_a_pair_are_refused():
    with pytest.raises(UserError, match="No run of A has a partner"):
        comparison.compared(runs("cmm", {1: 50.0}), runs("cmm", {2: 50.0}))


def test_what_differs_within_pairs_is_listed():
    a = runs("cmm", {1: 50.0, 2: 51.0}, changes={"paths.store_dir": "here", "optim.lr": 1e-3})
    b = [
        *runs("cmm", {1: 50.0}, changes={"optim.lr": 1e-4, "optim.batch_size": 64}),
        *runs("cmm", {2: 51.0}, changes={"optim.lr": 1e-4, "optim.batch_size": 32}, devices={"kind": "A100"}),
    ]
    found, _ = comparison.compared(a, b)
    assert comparison.changes(found[0].pairs) == {
        "optim.batch_size": [(128, 64), (128, 32)],
        "optim.lr": [(1e-3, 1e-4)],
        "device": [("cpu", "A100")],
    }


def of_images(digit, **more):
    return record("cmm", "flowers", 1, 50.0, datasets=[{"name": "flowers", "images": f"{digit:x}" * 64}], **more)


def test_runs_of_other_images_under_the_same_name_are_no_pair_and_both_are_named(tmp_path, capsys):
    write(tmp_path / "a", of_images(8))
    write(tmp_path / "b", of_images(4))
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    with pytest.raises(UserError, match=r"\nscenario: flowers \[88888888\] in A, flowers \[44444444\] in B$"):
        compare.main(folders, "compare")
    write(tmp_path / "b/more", of_images(8))
    compare.main(folders, "compare")
    printed = capsys.readouterr().out
    assert "flowers [88888888] │ 0.5 → 0.5 │ 1" in printed and "\nimages" not in printed
    assert f"without a partner: {tmp_path}/b/flowers/cmm/seed_1/result.json (flowers [44444444])" in printed


def test_prompts_that_differ_are_listed_since_images_are_the_same():
    words = [{"dataset": {"prompts": [prompt]}} for prompt in ("a {}.", "the {}.")]
    a, b = ([RecordedRun.of(record("cmm", "flowers", 1, 50.0, {"dataset": own["dataset"]}))] for own in words)
    ((one,), _) = comparison.compared(a, b)
    assert comparison.changes(one.pairs) == {"dataset.prompts": [(["a {}."], ["the {}."])]}


@pytest.mark.parametrize(
    ("a", "b", "lacking"),
    [
        ({"changes": {"scenario.seed": 1}}, {"changes": {"scenario.seed": 2}}, "order: 1 in A, 2 in B"),
        ({"changes": {"scenario.deal_seed": 1}}, {"changes": {"scenario.deal_seed": 2}}, "order: 1 in A, 2 in B"),
        (
            {"changes": {"scenario.validation_share": 0.1}, "split": "validation"},
            {"changes": {"scenario.validation_share": 0.2}, "split": "validation"},
            "images: validation, 0.1 of the training images in A, validation, 0.2 of the training images in B",
        ),
    ],
)
def test_other_dealings_other_orders_of_avalanche_and_other_validation_images_make_no_pair(a, b, lacking):
    def without_order(run):
        run.result["config"]["scenario"].pop("class_order")
        return run

    one, other = ([without_order(run) for run in runs("cmm", {1: 50.0}, **each)] for each in (a, b))
    with pytest.raises(UserError, match=re.escape(f"\n{lacking}")):
        comparison.compared(one, other)


def test_code_that_was_edited_between_a_and_b_is_named():
    a, b = (runs("cmm", {1: 50.0}, code={"outside": {"my_pkg/mine.py": digit * 64}}) for digit in "ab")
    found, _ = comparison.compared(a, b)
    assert comparison.changes(found[0].pairs) == {"code.my_pkg/mine.py": [("a" * 8, "b" * 8)]}


def test_the_command_prints_what_was_compared_and_what_was_not(tmp_path, capsys):
    write(tmp_path / "a", *(record("sequential_last", "cars_5", seed, 50.0 + seed**2) for seed in (1, 2, 3, 4)))
    write(tmp_path / "b", *(record("sequential_magmax", "cars_5", seed, 53.0) for seed in (1, 2, 3)))
    compare.main([str(tmp_path / "a"), str(tmp_path / "b")], "compare")
    printed = capsys.readouterr().out
    for text in (
        "54.67 ± 4.04",
        "53.00 ± 0.00",
        "-1.67 ± 4.04",
        "-11.71 … +8.37",
        "0.549",
        "paired t-test",
        "merger._target_: ",
    ):
        assert text in printed
    assert f"without a partner: {tmp_path}/a/cars_5/sequential_last/seed_4/result.json" in printed
    assert printed.count("without") == 1 and "n = 1" not in printed
