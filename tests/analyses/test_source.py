"""Which runs stand for others."""

import copy
import json
from pathlib import Path

import pytest

from cl_bench.analyses.__main__ import _is_there
from cl_bench.analyses.selection import has_all_parts, representatives, trained_otherwise
from cl_bench.analyses.source import SCHEMA, describe
from cl_bench.reports.names import trainer_label


def record(trainer="sequential", merger="magmax", seed=1, split="test", starts_from="previous", **merger_settings):
    return {
        "choices": {"scenario": "digits_5", "trainer": trainer, "merger": merger},
        "scenario": {"name": "digits_5", "kind": "class-incremental"},
        "datasets": [{"name": "digits", "images": "0" * 64}],
        "config": {
            "method": None,
            "trainer": {"_target_": trainer, "starts_from": starts_from},
            "merger": {"_target_": merger, **merger_settings},
        },
        "seed": seed,
        "split": split,
        "fingerprint": f"{trainer}{seed}",
        "tasks": [{"name": "a"}, {"name": "b"}],
    }


def chosen(records, wants=lambda record: True):
    return [str(path) for path in representatives({Path(name): each for name, each in records.items()}, wants)]


def test_one_run_stands_for_all_seeds_and_mergers_of_a_trainer():
    records = {
        "c": record(seed=1),
        "b": record(seed=1, merger="ties"),
        "a": record(seed=2),
        "d": record("independent"),
    }
    assert chosen(records) == ["b", "d"]


def test_a_run_of_another_head_stands_for_itself_and_is_called_by_it():
    words, means = record(), record()
    means["choices"]["head"], means["config"]["head"] = "prototypes", {"_target_": "cl_bench.heads.Prototypes"}
    assert chosen({"a": words, "b": means}) == ["a", "b"]
    assert describe({**words, "choices": {**words["choices"], "head": "zero_shot"}}) == describe(words)
    faster, larger = copy.deepcopy(means), copy.deepcopy(words)
    faster["config"]["head"]["lr"], larger["config"]["backbone"] = 1.0, {"model": "ViT-L-14"}
    assert chosen({"a": words, "b": means, "c": faster, "d": larger}) == ["a", "b", "c", "d"]
    means["choices"]["trainer"] = "zero_shot"
    assert trainer_label(describe(means)) == "SimpleCIL"


def test_where_tasks_start_from_the_merged_weights_the_merger_counts_but_not_its_scaling():
    records = {
        "a": record("cmm", starts_from="merged", alpha=0.4),
        "b": record("cmm", starts_from="merged", alpha=0.5),
        "c": record("cmm", starts_from="merged", alpha=0.4, scaling=0.5),
    }
    assert chosen(records) == ["a", "b"]


def test_runs_that_choose_settings_and_unwanted_ones_are_left_out():
    records = {"a": record(split="validation"), "b": record("ewc"), "c": record()}
    assert chosen(records, lambda record: record["choices"]["trainer"] == "sequential") == ["c"]


def test_runs_of_other_rates_than_the_one_that_stands_for_them_are_found():
    records = {Path(name): record() for name in "abcd"}
    for name, rate in {"a": 1e-4, "b": 1e-4, "c": 1e-3}.items():
        records[Path(name)]["config"]["optim"] = {"lr": rate}
    records[Path("e")] = record("ewc")
    assert trained_otherwise(records, Path("a")) == [Path("c"), Path("d")]
    assert trained_otherwise(records, Path("e")) == []


def test_a_source_names_its_tasks_in_order():
    assert describe(record())["tasks"] == ["a", "b"]


def test_cmm_without_refinement_or_second_moments_has_not_all_parts():
    assert has_all_parts(record()) and has_all_parts(record("cmm", "cmm", second_moments=True))
    assert not has_all_parts(record("cmm", "cmm", second_moments=False))
    without = record("cmm", "cmm")
    without["config"]["trainer"]["refinement"] = None
    assert not has_all_parts(without)


def test_cmm_as_released_for_its_scenario_has_all_parts():
    released = record("cmm", "cmm", second_moments=False)
    released["config"]["trainer"]["refinement"] = None
    for published, complete in (
        ({"second_moments": False}, False),
        ({"refinement": None}, False),
        ({"second_moments": False, "refinement": None}, True),
    ):
        released["config"]["published"] = {"cmm": published, "ewc": {"fisher_outputs": "features"}}
        assert has_all_parts(released) == complete


@pytest.mark.parametrize(("schema", "there"), [(SCHEMA, True), (SCHEMA - 1, False)])
def test_an_analysis_of_another_schema_is_made_anew(tmp_path, schema, there):
    (tmp_path / "tsne.json").write_text(json.dumps({"schema": schema, "source": {"seed": 1}}))
    assert _is_there(tmp_path / "tsne.json", {"seed": 1}) == there
    assert not _is_there(tmp_path / "tsne.json", {"seed": 2})
