"""Weights that are null, beside records of a version that had none."""

from cl_bench.experiment.earlier_result import what_counts
from cl_bench.reports.runs import RecordedRun, differences, distinct
from cl_bench.reports.settings import differing
from cl_bench.store.later_settings import as_before
from tests.reports.made_up import record

AVERAGE = {"_target_": "cl_bench.mergers.Average", "scaling": 1.0}
NULL = {**AVERAGE, "weights": None}
WEIGHTED = {**AVERAGE, "weights": {"cars": 0.3}}


def recorded(merger):
    made = record("sequential", "digits_5", 1, 50.0)
    return {**made, "config": {**made["config"], "lightning": {}, "merger": merger}}


def test_null_weights_of_the_projects_rules_are_left_out_wherever_they_are():
    assert as_before({"of": NULL, "rules": [{"match": "*", "merger": NULL}]}) == {
        "of": AVERAGE,
        "rules": [{"match": "*", "merger": AVERAGE}],
    }
    for kept in (WEIGHTED, AVERAGE, {"_target_": "mine.Rule", "weights": None}, {"weights": None}, None, "magmax"):
        assert as_before(kept) == kept


def test_a_result_of_the_version_before_stands_for_that_of_now_and_beside_it():
    before, now, weighted = map(recorded, (AVERAGE, NULL, WEIGHTED))
    assert what_counts(before["config"]) == what_counts(now["config"]) != what_counts(weighted["config"])
    assert differing([before, now], lambda result: 0) == [{}, {}]
    assert differing([before, weighted], lambda result: 0) == [{}, {"merger.weights.cars": 0.3}]
    first, second, third = map(RecordedRun.of, (before, now, weighted))
    assert differences(first, second) == {} and differences(first, third) == {"merger.weights.cars": (None, 0.3)}
    assert list(distinct([first, second], lambda run: run.seed).values()) == [first]


def test_a_result_of_before_there_were_heads_is_one_of_the_zero_shot_head():
    old, words, means = (recorded(AVERAGE) for _ in range(3))
    words["config"]["head"] = {"_target_": "cl_bench.heads.ZeroShot"}
    means["config"]["head"] = {"_target_": "cl_bench.heads.Prototypes"}
    assert what_counts(old["config"]) == what_counts(words["config"]) != what_counts(means["config"])
    assert differing([old, words], lambda result: 0) == [{}, {}]
    assert differing([old, means], lambda result: 0) == [{}, {"head._target_": "cl_bench.heads.Prototypes"}]


def test_a_result_of_before_there_was_tf32_is_one_in_float32():
    old, exact, fast = (recorded(AVERAGE) for _ in range(3))
    exact["config"]["lightning"] = {"matmul_precision": "highest"}
    fast["config"]["lightning"] = {"matmul_precision": "high"}
    assert what_counts(old["config"]) == what_counts(exact["config"]) != what_counts(fast["config"])
    assert differing([old, exact], lambda result: 0) == [{}, {}]
    assert differing([old, fast], lambda result: 0) == [{}, {"lightning.matmul_precision": "high"}]
