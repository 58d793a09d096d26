"""Runs with a list of λ of which nobody chose one: their first λ is not what any reader of records takes."""

import pytest

from cl_bench.reports import comparison, scaling
from cl_bench.reports.command_line import main
from cl_bench.reports.commands import compare
from cl_bench.reports.figures import accuracy_over_scaling, accuracy_over_time
from cl_bench.reports.figures.heat_maps import scaling_in_words
from cl_bench.reports.figures.records import Records
from cl_bench.reports.page.entries import details, entry
from cl_bench.reports.page.overview import overview
from cl_bench.reports.records import read_all
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.summary import show
from cl_bench.reports.tables.papers import all_papers_tables, papers_table
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.reports.test_left_out import TASKS, found
from tests.reports.test_left_out import record as several_datasets

GRID = (0.1, 0.4, 1.0)
HOW = ("scenario.validation_share=0.2", "merger.scaling=0.4")


def one(value):
    """What a record says of one model, with the other kind of accuracy, too."""
    aware = found(value)
    both = {name: {**numbers, "task_agnostic": numbers["task_aware"]} for name, numbers in aware.items()}
    return {**both, "accuracy": {"task_agnostic": value, "task_aware": value}}


def record(method="sequential_magmax", seed=5, value=60.0, grid=(), chosen=None, **settings):
    """One of a class-incremental run; with each λ of the grid it has `value` + 10 λ."""
    base = several_datasets(method, seed)
    scalings = [
        {"scaling": at, "validation": None if chosen is None else 50.0, "chosen": at == chosen,
         **one(value + 10 * at)}
        for at in grid
    ]  # fmt: skip
    reported = value + 10 * (chosen or grid[0]) if grid else value
    scenario = {"_target_": "cl_bench.scenarios.ClassIncremental", "tasks": TASKS, "class_order": seed}
    config = {**base["config"], "scenario": scenario, "seed": seed}
    config["merger"] = {**config["merger"], "scaling": list(grid) or 0.5, **settings}
    return {
        **base,
        **one(reported),
        "choices": {**base["choices"], "scenario": "digits_5"},
        "scenario": {"name": "digits_5", "datasets": ["digits"], "kind": "class-incremental", "tasks": TASKS},
        "config": config,
        "headline": {"name": "accuracy.task_agnostic", "value": reported},
        "left_out": {},
        "scalings": scalings or None,
        "finetuned": one(40.0),
        "datasets": [{"name": "digits", "split": "official", "sha256": "0" * 64, "images": "0" * 64}],
    }


def write(folder, *records):
    for number, each in enumerate(records):
        write_result(folder / str(number) / "result.json", each)
    return folder


def unchosen(**more):
    return record(grid=GRID, **more)


def test_the_scaling_that_a_merger_of_ones_own_has_by_itself_is_known():
    own = record() | {"scaling": 0.25}
    del own["config"]["merger"]["scaling"]
    assert scaling.scaling_of(own) == 0.25 and scaling.scaling_of(record() | {"scaling": 0.5}) == 0.5


def test_a_list_is_chosen_from_by_the_run_or_by_nobody():
    assert scaling.is_unchosen(unchosen()) and scaling.scaling_of(unchosen()) is None
    chosen = record(grid=GRID, chosen=0.4)
    assert not scaling.is_unchosen(chosen) and scaling.scaling_of(chosen) == 0.4
    assert not scaling.is_unchosen(record()) and scaling.scaling_of(record()) == 0.5
    assert scaling.scaling_of(record(scaling=[0.3])) == 0.3  # a list of one leaves no choice
    nothing_merged = unchosen() | {"training": []}
    assert not scaling.is_unchosen(nothing_merged) and scaling.scaling_of(nothing_merged) is None
    assert scaling.is_unchosen(record(scaling=[0.3, 0.6]))  # somebody took its list of λ away


def test_each_scaling_is_a_record_of_its_own():
    each = scaling.one_per_scaling(unchosen())
    assert [(r["headline"]["value"], r["config"]["merger"]["scaling"], r["scalings"]) for r in each] == [
        (61.0, 0.1, None), (64.0, 0.4, None), (70.0, 1.0, None),
    ]  # fmt: skip
    assert each[2]["matrix"]["task_agnostic"][-1][-1] == 70.0
    assert scaling.one_per_scaling(record(grid=GRID, chosen=0.4))[0]["headline"]["value"] == 64.0


def test_a_published_table_leaves_it_out_and_says_how_to_choose(tmp_path, capsys):
    write(tmp_path / "table_cil_mini", unchosen(), record("sequential_ties", value=50.0))
    table, forgetting = papers_table("cil_mini", read_all(tmp_path))
    assert [row.name for row in table.rows] == [row.name for row in forgetting.rows] == ["Sequential + TIES"]
    (note,) = [note for note in table.notes if "none was chosen" in note]
    assert "1 run" in note and "sequential_magmax" in note and all(way in note for way in HOW)
    assert main(["table", "cil_mini", str(tmp_path), str(tmp_path / "out")]) == 0
    assert note in capsys.readouterr().out and note in (tmp_path / "out/cil_mini.md").read_text()
    assert [row.name for row in all_papers_tables(read_all(tmp_path))[0].rows] == ["Sequential + TIES"]


def test_a_published_table_says_which_scalings_were_chosen(tmp_path):
    chosen = {1: 0.4, 2: 1.0}
    own = (record(seed=seed, grid=GRID, chosen=at) for seed, at in chosen.items())
    write(tmp_path, *own, record("sequential_ties", seed=1))
    table, forgetting = papers_table("cil_mini", read_all(tmp_path))
    flags = {row.name: row.cells["digits_5"].flags for row in table.rows}
    assert flags == {"MagMax": ("λ chosen on validation images: 0.4, 1",), "Sequential + TIES": ()}
    assert forgetting.rows[1].cells["digits_5"].flags == flags["MagMax"]


def test_a_published_table_of_nothing_else_is_refused_with_the_remedy(tmp_path):
    write(tmp_path / "table_cil_mini", unchosen(), unchosen(seed=6))
    with pytest.raises(UserError, match=r"2 runs with a list of λ .* merger\.scaling=0\.4"):
        papers_table("cil_mini", read_all(tmp_path))
    assert all_papers_tables(read_all(tmp_path)) == []


def test_compare_leaves_it_out_and_says_the_scaling_of_both_sides(tmp_path, capsys):
    a = write(tmp_path / "a", *(record(seed=seed, scaling=0.5) for seed in (1, 2)), unchosen(seed=3))
    chosen = {1: 0.4, 2: 1.0}
    b = write(tmp_path / "b", *(record("sequential_ties", s, grid=GRID, chosen=at) for s, at in chosen.items()))
    compare.main([str(a), str(b)], "compare")
    printed = capsys.readouterr().out
    assert "0.5 → 0.4, 1 *" in printed and "*: each run chose its λ" in printed and "│ 2 │" in printed
    assert "Left out: 1 run" in printed and HOW[0] in printed and "without a partner" not in printed
    for same in (a, a), (b, b):
        compare.main(list(map(str, same)), "compare")
    printed = capsys.readouterr().out
    assert "0.5 → 0.5" in printed and "0.4, 1 * → 0.4, 1 *" in printed


def test_compare_says_where_a_side_is_a_mean_over_several_settings(tmp_path, capsys):
    a = write(tmp_path / "a", *(record(seed=seed, density=density) for seed, density in ((1, 0.2), (2, 0.5))))
    compare.main([str(a), str(a)], "compare")  # where they differ in both alike, nothing differs within the pairs
    assert "MagMax on digits_5 is a mean over merger.density=0.2 and merger.density=0.5" in capsys.readouterr().out
    compare.main([str(a / "0"), str(a / "0")], "compare")
    assert "is a mean over" not in capsys.readouterr().out


def test_compare_of_nothing_else_is_refused_with_the_remedy(tmp_path):
    a, b = write(tmp_path / "a", unchosen()), write(tmp_path / "b", record())
    with pytest.raises(UserError, match=r"1 run with a list of λ .* scenario\.validation_share=0\.2"):
        compare.main([str(a), str(b)], "compare")


def test_figures_over_time_leave_it_out_and_those_over_scaling_show_each():
    records = Records([unchosen(), record("sequential_ties")], ())
    (drawing,) = accuracy_over_time.drawings(records)
    assert [axis.get_title() for axis in drawing.figure.axes[:1]] == ["sequential + TIES"]
    assert list(accuracy_over_time.drawings(Records([unchosen()], ()))) == []
    (drawing,) = accuracy_over_scaling.drawings(records)
    assert [x for x, _ in drawing.figure.axes[0].lines[0].get_xydata()] == list(GRID)


def test_the_command_of_figures_says_what_it_left_out(tmp_path, capsys):
    write(tmp_path / "runs", unchosen())
    assert main(["figures", str(tmp_path / "runs"), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "Left out: 1 run" in printed and HOW[1] in printed
    assert not list((tmp_path / "out").glob("accuracy_over_time*"))


def test_two_settings_of_a_method_are_two_panels_and_two_lines():
    dense, thin = (record(density=density, value=value) for density, value in ((0.5, 60.0), (0.2, 10.0)))
    (drawing,) = accuracy_over_time.drawings(Records([dense, thin], ()))
    titles = [axis.get_title() for axis in drawing.figure.axes[:2]]
    assert titles == ["sequential + MagMax\nmerger.density=0.2", "sequential + MagMax\nmerger.density=0.5"]
    lists = [record(density=d, value=v, grid=GRID) for d, v in ((0.5, 60.0), (0.2, 10.0))]
    (drawing,) = accuracy_over_scaling.drawings(Records(lists, ()))
    named = {line.get_label(): line.get_ydata().tolist() for line in drawing.figure.axes[0].lines[:2]}
    assert named == {
        "MagMax, merger.density=0.2": [11.0, 14.0, 20.0], "MagMax, merger.density=0.5": [61.0, 64.0, 70.0],
    }  # fmt: skip


def test_a_list_of_one_scaling_is_a_point_of_the_figure():
    one_each = [record(scaling=[at], value=50 + at) for at in GRID]
    (drawing,) = accuracy_over_scaling.drawings(Records(one_each, ()))
    assert [x for x, _ in drawing.figure.axes[0].lines[0].get_xydata()] == list(GRID)


def test_the_page_has_its_scalings_and_no_number_of_the_first(tmp_path):
    write(tmp_path, unchosen(), record(seed=6))
    own, other = read_all(tmp_path)
    shown, opened = entry(own, tmp_path), details(own)
    assert (shown["scaling"], shown["accuracy"], shown["forgetting"]) == (None, None, None)
    assert [point[:2] for point in shown["scalings"]] == [[0.1, 61.0], [0.4, 64.0], [1.0, 70.0]]
    assert opened["matrix"]["merged"] is None and opened["after"] == opened["metrics"] == {}
    assert HOW[0] in opened["unchosen"]
    assert entry(other, tmp_path)["accuracy"] == 60.0 and details(other)["unchosen"] is None
    assert "1 run with a list of λ" in overview([own, other])["left out"] and "left out" not in overview([other])


def test_the_terminal_and_the_heat_map_say_that_the_first_was_not_chosen(tmp_path, capsys):
    show(unchosen(), tmp_path)
    printed = capsys.readouterr().out
    assert "No λ was chosen" in printed and all(way in printed for way in HOW) and "λ = 0.1" in printed
    assert scaling_in_words(unchosen()) == ", λ = 0.1: the first of 3, not chosen"
    assert scaling_in_words(record(grid=GRID, chosen=0.4)) == ", λ = 0.4: chosen on validation images"
    assert scaling_in_words(record()) == ""


def test_equals_on_validation_images_are_named_where_the_first_of_them_is_taken(tmp_path, capsys):
    show(record(grid=GRID, chosen=0.1), tmp_path)  # each has 50 on validation images
    printed = " ".join(capsys.readouterr().out.split())
    assert "chosen on validation images, where it has 50.00, as have λ = 0.4 and λ = 1: the first of them" in printed


def test_runs_are_compared_at_the_scaling_that_was_chosen():
    ((one,), _) = comparison.compared(
        [RecordedRun.of(record(grid=GRID, chosen=0.4))], [RecordedRun.of(record(grid=GRID, chosen=1.0))]
    )
    assert one.differences == [6.0]
