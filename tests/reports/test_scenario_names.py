"""Names of scenarios beside each other, in every kind of report: nothing is shared by two data sets."""

import json
from pathlib import Path

import pytest

from cl_bench.analyses.source import describe, kind
from cl_bench.reports.figures import all as figures
from cl_bench.reports.figures.heat_maps import draw
from cl_bench.reports.page.entries import details, entry
from cl_bench.reports.records import read_all
from cl_bench.reports.runs import RecordedRun, distinct
from cl_bench.reports.scenario_names import name_scenarios, scenario_name
from cl_bench.reports.tables.formats.cells import has_ranks
from cl_bench.reports.tables.formats.markdown import markdown
from cl_bench.reports.tables.papers import papers_table
from cl_bench.reports.task_names import task_names
from cl_bench.runtime.errors import UserError
from tests.reports import page_records
from tests.reports.figures.test_figures import result
from tests.reports.made_up import record, write


def of_images(*digits, method="cmm", value=50.0, names=("flowers",), **more):
    data = [{"name": name, "images": digit * 64} for name, digit in zip(names, digits, strict=True)]
    return record(method, "flowers", 1, value, datasets=data, **more)


def test_only_names_that_other_images_share_get_a_part_of_their_sha256():
    alone = [of_images("a"), of_images("a"), record("cmm", "cars_5", 1, 50.0)]
    assert list(map(scenario_name, name_scenarios(alone))) == ["flowers", "flowers", "cars_5"]
    more = name_scenarios([*name_scenarios(alone), of_images("b")])
    assert list(map(scenario_name, more)) == [
        "flowers [aaaaaaaa]",
        "flowers [aaaaaaaa]",
        "cars_5",
        "flowers [bbbbbbbb]",
    ]
    assert list(map(scenario_name, name_scenarios(more[:3]))) == ["flowers", "flowers", "cars_5"]


def test_several_data_sets_are_the_same_in_whatever_order_they_arrive():
    first, second = (of_images(*digits, names=names) for digits, names in (("ab", "xy"), ("ba", "yx")))
    other = of_images(*"ac", names="xy")
    assert len({*map(scenario_name, name_scenarios([first, second]))}) == 1
    one, same, odd = map(scenario_name, name_scenarios([first, second, other]))
    assert one == same != odd


def test_two_data_sets_of_one_name_have_columns_of_their_own_and_nothing_is_best_of_both(tmp_path):
    config = {"dataset": {"root": "here/flowers"}}
    write(tmp_path / "a", of_images("a", value=40.0, changes=config), of_images("a", method="ewc", value=30.0))
    write(tmp_path / "b", of_images("b", method="sequential_magmax", value=60.0))
    table, _ = papers_table("cil", read_all(tmp_path))
    assert table.columns == ("flowers [aaaaaaaa]", "flowers [bbbbbbbb]")
    assert all(len(row.cells) == 1 for row in table.rows)
    written = markdown(table)
    assert "| MagMax |  | 60.00 |" in written and "| CMM | **40.00** |  |" in written
    assert "[aaaaaaaa]" in table.notes[-1] and "here/flowers" in table.notes[-1] and "dataset.name" in table.notes[-1]
    write(tmp_path / "b", of_images("a", method="sequential_magmax", value=60.0))
    (table, _) = papers_table("cil", read_all(tmp_path))
    assert table.columns == ("flowers",) and has_ranks(table) and not table.notes


def test_a_run_on_other_images_stands_in_for_none(tmp_path):
    records = name_scenarios([of_images("a", value=40.0), of_images("b", value=60.0, fingerprint="other")])
    assert len(distinct(map(RecordedRun.of, records), lambda run: (run.method, run.scenario, run.seed))) == 2
    with pytest.raises(UserError, match=r"with different settings \(images\.flowers aaaaaaaa and bbbbbbbb\)"):
        distinct(map(RecordedRun.of, records), lambda run: run.method)


def test_figures_of_two_data_sets_are_two_files_whatever_they_are_called(tmp_path, capsys):
    def called(name, digit):
        measured = {"name": name, "kind": "class-incremental", "datasets": [name], "tasks": 3}
        return result(scenario=measured, datasets=[{"name": name, "images": digit * 64}])

    names = ("A b", "a_b", "flowers", "flowers")
    for number, (name, digit) in enumerate(zip(names, "1234", strict=True)):
        path = tmp_path / f"runs/{number}/result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(called(name, digit)))
    drawn = figures.write(tmp_path / "runs", tmp_path / "out")
    assert len(drawn) == len({name.casefold() for name in drawn}) == 4
    assert {"accuracy_over_time_flowers_33333333", "accuracy_over_time_flowers_44444444"} < set(drawn)
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(drawn)


def test_the_page_calls_runs_by_what_was_measured_and_keeps_the_two_apart():
    one = {**page_records.record(), "path": "runs/a/result.json"}
    other = {**one, "datasets": [{**one["datasets"][0], "images": "2" * 64}]}
    said = [entry(each, Path("runs"))["scenario"] for each in name_scenarios([one, other])]
    assert said == ["made_up_20 [11111111]", "made_up_20 [22222222]"]


def test_analyses_of_two_data_sets_are_of_two_kinds():
    sources = [describe({**result(), "datasets": [{"name": "x", "images": digit * 64}]}) for digit in "aba"]
    assert kind(sources[0]) != kind(sources[1]) and kind(sources[0]) == kind(sources[2])


DOMAINS = ["sketch", "a very long name of a domain", "a very long name of another", "横"]


def test_tasks_with_names_of_their_own_are_called_by_them():
    scenario = {"kind": "domain-incremental"}
    assert task_names(scenario, DOMAINS) == ["sketch", "2 a very long name of…", "3 a very long name of…", "横"]
    assert task_names({"kind": "dataset-incremental"}, ["mnist"]) == ["mnist"]
    assert task_names({"kind": "class-incremental"}, ["cat, dog"]) is None
    assert task_names(scenario, [str(i) for i in range(26)]) is None


@pytest.mark.parametrize("rows", [5, 2, 1])
def test_heat_maps_of_domains_name_them_and_have_one_panel_where_both_are_the_same(rows):
    matrix = dict.fromkeys(("task_agnostic", "task_aware"), [[1.0, 2.0, None, 4.0]] * rows)
    measured = {"name": "rooms $a$ $b", "kind": "domain-incremental"}
    made = {**result(), "scenario": measured, "tasks": [{"name": name} for name in DOMAINS]}
    figure = draw(matrix, "title", made)
    panel, _ = figure.axes
    shown = ["sketch", "2 a very long name of…", "3 a very long name of…", "4"]  # its font lacks the last
    assert [label.get_text() for label in panel.get_xticklabels()] == shown
    below = {5: ["zero-shot", *shown], 2: ["zero-shot", "all tasks at once"], 1: ["zero-shot"]}
    assert [label.get_text() for label in panel.get_yticklabels()] == below[rows]
    assert "alike" in panel.get_title()
    other = {**matrix, "task_aware": [[1.0, 2.0, 3.0, 4.0]] * rows}
    assert len(draw(other, "title", made).axes) == 3  # and the colors


def test_thousands_of_class_names_are_not_in_the_page_with_every_run():
    names = {f"n{i:08}": f"name {i}" for i in range(3000)}
    config = {"dataset": {"class_names": names}, "scenario": {"dataset": {"class_names": list(names)}}, "merger": {}}
    data = {"name": "x", "split": "official", "sha256": "0", "images": "1", "class_names": list(names)}
    said = details({**page_records.record(), "config": config, "datasets": [data]})
    assert (
        said["config"]["dataset"]["class_names"] == said["config"]["scenario"]["dataset"]["class_names"] == "3000 names"
    )
    assert len(json.dumps(said)) < 5000
