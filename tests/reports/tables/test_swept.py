"""The table of any sweep: what its rows and columns are, and what stands in its cells."""

import pytest

from cl_bench.reports.command_line import main
from cl_bench.reports.tables.swept import swept
from cl_bench.runtime.errors import UserError
from tests.reports import made_up
from tests.reports.test_scaling import GRID, record, unchosen, write


def cells(table):
    return {row.name: {column: list(cell.values) for column, cell in row.cells.items()} for row in table.rows}


def of(trainer="sequential", merger="magmax", scenario="digits_5", seed=5, value=60.0, **settings):
    """A run without a method of its own, as `run.py` leaves it; settings are typed with __ for the dot."""
    changes = {name.replace("__", "."): setting for name, setting in settings.items()}
    result = made_up.record(f"{trainer}_{merger}", scenario, seed, value, changes)
    result["choices"] |= {"trainer": trainer, "merger": merger, "dataset": scenario}
    result["config"] |= {"method": None, "seed": seed}
    return result


def test_rows_are_what_was_swept_and_seeds_and_orders_are_averaged():
    results = [
        of(seed=seed, value=value + seed, merger__scaling=scaling, scenario__class_order=order)
        for scaling, value in ((0.2, 50.0), (0.6, 60.0), (0.10, 40.0))
        for seed, order in ((1, None), (2, None), (2, [1, 0]))
    ]
    table, forgetting = swept(results)
    assert cells(table) == {
        "merger.scaling=0.1": {"digits_5": [41.0, 42.0, 42.0]},
        "merger.scaling=0.2": {"digits_5": [51.0, 52.0, 52.0]},
        "merger.scaling=0.6": {"digits_5": [61.0, 62.0, 62.0]},
    }
    assert "seeds 1, 2 and 2 orders of arrival, n = 3" in table.caption and "test images" in table.caption
    assert "The accuracy is accuracy.task_agnostic." in table.notes
    assert "All runs have trainer=sequential merger=magmax." in table.notes
    assert cells(forgetting)["merger.scaling=0.6"] == {"digits_5": [39.0, 38.0, 38.0]}
    assert not any(row.competes for row in table.rows)  # which would choose a setting on test images


def test_choices_stand_without_what_they_bring_and_methods_compete():
    results = [
        of(trainer, merger, scenario, optim__lr=1e-3 if scenario == "digits_5" else 1e-4)
        for trainer in ("ewc", "sequential") for merger in ("ties", "magmax") for scenario in ("digits_5", "glyphs_10")
    ]  # fmt: skip
    table, _ = swept(results)
    assert table.columns == ("digits_5", "glyphs_10")
    assert list(cells(table)) == [
        f"trainer={trainer} merger={merger}"
        for trainer, merger in (("sequential", "ties"), ("sequential", "magmax"), ("ewc", "magmax"), ("ewc", "ties"))
    ]
    assert all(row.competes for row in table.rows)


@pytest.mark.parametrize("group", ["backbone", "head"])
def test_heads_and_backbones_are_named_even_where_each_method_has_one_of_its_own(group):
    results = [of("sequential"), of("lwf")]
    for result, method, choice in zip(results, ("plain", "distilled"), ("zero_shot", "prototypes"), strict=True):
        result["choices"][group], result["config"]["method"] = choice, method
    table, _ = swept(results)
    assert set(cells(table)) == {f"+method=plain {group}=zero_shot", f"+method=distilled {group}=prototypes"}


def test_where_columns_say_their_accuracy_the_note_does_not_say_it_twice():
    other = of(merger="magmax")
    other["headline"] = {"name": "accuracy.task_aware", "value": 60.0}
    for kinds in (other["matrix"], other["metrics"]):
        kinds["task_aware"] = kinds["task_agnostic"]
    table, *_ = swept([of(merger="ties"), other])
    assert table.columns == ("digits_5 (accuracy.task_agnostic)", "digits_5 (accuracy.task_aware)")
    assert "The accuracy is accuracy.task_agnostic (digits_5); accuracy.task_aware (digits_5)." in table.notes


@pytest.mark.parametrize("other", [{"seed": 7}, {"seed": 5, "scenario__class_order": 3}])
def test_rows_of_other_seeds_or_orders_have_no_best(other):
    table, _ = swept([of(merger="ties"), of(merger="magmax", **other)])
    assert not any(row.competes for row in table.rows)
    assert "Rows are of other seeds or orders of arrival than each other, so none of them is the best." in table.notes


def test_a_merger_that_follows_from_its_trainer_and_the_rules_for_domains_are_said():
    results = [
        of("cmm", "cmm", "office31", merger__second_moments=False),
        of("ewc", "magmax", "office31", trainer__fisher_outputs="features"),
    ]
    table, _ = swept(results)
    assert set(cells(table)) == {"trainer=cmm", "trainer=ewc"}
    assert any(note.startswith("merger: ") and "magmax with trainer=ewc" in note for note in table.notes)
    assert sum("as in the code released for domains" in note for note in table.notes) == 2


def test_a_merger_whose_settings_differ_from_column_to_column_is_named_with_them():
    results = [
        of(merger=merger, scenario=scenario, value=value, **settings)
        for merger, scenario, value, settings in (
            ("average", "digits_5", 60.0, {"merger__weights": [1, 3]}),
            ("average", "glyphs_10", 70.0, {"merger__weights": [2, 1]}),
            ("magmax", "digits_5", 61.0, {}),
            ("magmax", "glyphs_10", 71.0, {}),
        )
    ]
    table, _ = swept(results)
    assert [note for note in table.notes if "column" in note] == [
        "merger=average: merger.weights differs from column to column."
    ]


def test_a_setting_of_the_trainer_that_was_typed_for_some_mergers_alone_is_said():
    results = [of(merger=merger, trainer__starts_from="previous") for merger in ("magmax", "ties")]
    table, _ = swept([*results, of(merger="ema", trainer__starts_from="merged")])
    assert "trainer.starts_from: merged (merger=ema); previous (merger=magmax, merger=ties)." in table.notes


def test_columns_stand_in_the_papers_order():
    table, _ = swept([of(scenario=name) for name in ("cars_5", "my_own_20", "glyphs_10", "my_own_5", "cifar100_5")])
    assert table.columns == ("cifar100_5", "cars_5", "glyphs_10", "my_own_5", "my_own_20")


def test_a_rate_that_differs_within_a_scenario_is_in_every_row():
    table, _ = swept([of(merger="ties"), of(optim__lr=0.5), of(optim__lr=1e-5, value=1.0)])
    assert cells(table) == {
        "merger=ties optim.lr=1e-05": {"digits_5": [60.0]},
        "merger=magmax optim.lr=1e-05": {"digits_5": [1.0]},
        "merger=magmax optim.lr=0.5": {"digits_5": [60.0]},
    }


def test_a_setting_of_one_trainer_is_named_there_only_and_two_that_go_together_both():
    table, _ = swept([
        of("ewc", trainer__strength=1.0), of("ewc", trainer__strength=20.0, value=1.0), of("lwf"),
    ])  # fmt: skip
    assert list(cells(table)) == [
        "trainer=lwf",
        "trainer=ewc trainer.strength=1.0",
        "trainer=ewc trainer.strength=20.0",
    ]
    table, _ = swept([of(optim__lr=0.1, optim__epochs=1), of(optim__lr=0.2, optim__epochs=2)])
    assert list(cells(table)) == ["optim.lr=0.1 optim.epochs=1", "optim.lr=0.2 optim.epochs=2"]


def test_methods_are_called_as_they_were_typed():
    results = [made_up.record(method, "digits_5", 5, 50.0) for method in ("cmm", "cmm_without_tangent", "joint")]
    table, _ = swept(results)
    assert [(row.name, row.competes) for row in table.rows] == [
        ("+method=joint", False), ("+method=cmm", True), ("+method=cmm_without_tangent", True),
    ]  # fmt: skip


def test_beside_runs_without_a_method_it_is_its_settings_that_are_named():
    method = made_up.record("sequential_magmax", "digits_5", 6, 62.0)
    other = made_up.record("cmm_without_tangent", "digits_5", 6, 50.0, {"trainer.tangent": False})
    other["choices"] |= {"trainer": "cmm", "merger": "magmax"}
    table, _ = swept([of(), method, other, of(merger="my_package.Median")])
    assert {name: found for name, (found,) in ((n, c.values()) for n, c in cells(table).items())} == {
        "trainer=sequential merger=magmax": [60.0, 62.0],
        "trainer=cmm merger=magmax": [50.0],
        "trainer=sequential merger._target_=my_package.Median": [60.0],
    }


def test_other_images_splits_and_numbers_of_tasks_are_other_columns():
    other = of(value=1.0) | {"datasets": [{"name": "digits_5", "sha256": "a" * 64, "images": "a" * 64}]}
    more = of(value=2.0) | {"matrix": {"task_agnostic": [[1.0] * 5]}}
    table, _ = swept([of(), other, more, of(value=3.0) | {"split": "validation"}])
    ((name, found),) = cells(table).items()
    assert name == "sequential_magmax" and sorted(value for (value,) in found.values()) == [1.0, 2.0, 3.0, 60.0]
    assert any("images aaaaaaaa" in column for column in found) and any("5 tasks" in column for column in found)
    assert any("validation images" in column for column in found)
    assert "test or validation images" in table.caption


def test_what_shapes_no_number_makes_no_row():
    table, _ = swept([
        of(seed=1),
        of(seed=2, paths__store_dir="b", lightning__devices=2, dataset__root="/b", evaluation__when="final"),
    ])  # fmt: skip
    assert cells(table) == {"sequential_magmax": {"digits_5": [60.0, 60.0]}}


def test_other_versions_and_devices_in_one_mean_are_said():
    other = {"versions": {"cl_bench": "0.2.0", "torch": "2.15.0"}, "devices": {"kind": "H100", "count": 1}}
    notes = " ".join(swept([of(seed=1), of(seed=2) | other])[0].notes)
    assert (
        "several versions of cl_bench: 0.1.0, 0.2.0" in notes and "devices: H100, cpu" in notes and "torch" not in notes
    )


def test_each_of_several_scalings_is_a_row_and_none_is_the_best():
    results = [
        unchosen(seed=seed, method=method) for seed in (1, 2) for method in ("sequential_magmax", "sequential_ties")
    ]
    table, _ = swept(results)
    rows = cells(table)
    assert len(rows) == 2 * len(GRID) and rows["+method=sequential_ties merger.scaling=0.4"] == {"digits_5": [64.0] * 2}
    assert not any(row.competes for row in table.rows)
    assert any("No λ was chosen" in note and "merger.scaling=0.4" in note for note in table.notes)


def test_a_scaling_that_was_chosen_is_a_footnote_of_its_cell():
    table, _ = swept([record(seed=seed, grid=GRID, chosen=at) for seed, at in ((1, 0.4), (2, 1.0))])
    (row,) = table.rows
    assert row.cells["digits_5"].values == (64.0, 70.0)
    assert row.cells["digits_5"].flags == ("λ chosen on validation images: 0.4, 1",)


def test_a_run_that_is_there_twice_counts_once_and_a_contradiction_is_refused(tmp_path):
    assert cells(swept([of(), of()])[0]) == {"sequential_magmax": {"digits_5": [60.0]}}
    with pytest.raises(UserError, match="with the same settings, but their numbers differ"):
        swept([of(), of(value=61.0)])
    with pytest.raises(UserError, match="no runs"):
        swept([])


def test_on_validation_images_the_best_setting_may_be_called_so():
    trials = [of(value=100 * scaling, merger__scaling=scaling) | {"split": "validation"} for scaling in (0.51, 0.05)]
    assert [(row.name, row.competes) for row in swept(trials)[0].rows] == [
        ("merger.scaling=0.05", True), ("merger.scaling=0.51", True),
    ]  # fmt: skip


def test_the_command_prints_it_and_writes_it_where_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "runs", *(of(seed=seed, value=50.0 + seed, merger__scaling=s) for seed in (1, 2) for s in (0.2, 0.4))
    )
    assert main(["table", "runs"]) == 0
    printed = capsys.readouterr().out
    assert "│ merger.scaling=0.2 │ 51.50 ± 0.71 │" in printed and "max minus last" in printed
    assert main(["table", "runs/0", "runs/2", "--out", "out"]) == 0
    assert "written: out/sweep.{md,tex,csv}" in capsys.readouterr().out
    assert "51.50 ± 0.71" in (tmp_path / "out/sweep.md").read_text()
    assert sorted(path.suffix for path in (tmp_path / "out").glob("sweep_forgetting.*")) == [".csv", ".md", ".tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "FOLDER"),
        (("nowhere",), "There is no folder nowhere"),
        (("empty",), "There is no result.json below empty"),
        (("cil", "runs"), "table cil FOLDER … OUT"),
        (("cil", "runs", "a", "--out", "b"), "OUT is the last"),
    ],
)
def test_mistakes_of_the_command_get_one_message(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "runs", of())
    try:
        code = main(["table", *arguments])
    except SystemExit as exit:
        code = exit.code
    assert code == 2 and message in capsys.readouterr().err


def test_wide_names_fold_and_what_people_named_is_text(monkeypatch, capsys):
    from cl_bench.reports.tables.formats.terminal import print_table

    monkeypatch.setattr("os.isatty", lambda descriptor: True)
    monkeypatch.setenv("COLUMNS", "60")
    names = [f"[bold]{'a_rather_long_scenario' * 2}_{i}" for i in range(9)]
    results = [of(merger="x" * 70, scenario=name, value=v) for name in names for v in (60.0,)]
    results += [of(merger="[/]", scenario=name, value=70.0) for name in names]
    print_table(swept(results)[0])
    printed = capsys.readouterr().out
    table = [line for line in printed.splitlines() if line[:1] in "│┃"]
    assert max(map(len, table)) <= 60 and printed.count("70.00") == printed.count("60.00") == 9
    assert "merger=[/]" in printed and "[bold]" in printed


def test_of_a_thousand_rows_the_first_are_printed_and_the_rest_counted(capsys):
    from cl_bench.reports.tables.formats.terminal import print_table

    print_table(swept([of(merger__scaling=i / 1000) for i in range(1000)])[0], most=30)
    printed = capsys.readouterr().out
    assert printed.count("merger.scaling=") == 30 and "… and 970 more rows" in printed
