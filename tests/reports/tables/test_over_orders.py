"""Tables over orders of arrival, from made-up records with known answers."""

import statistics

import pytest

from cl_bench.reports.command_line import main
from cl_bench.reports.records import read_all
from cl_bench.reports.tables.over_orders import NAMES, all_tables_over_orders, table_over_orders
from cl_bench.runtime.errors import UserError
from tests.reports.made_up import record

MATRICES = {  # of two orders; R[0] is zero-shot
    42: [[10.0, 30.0], [80.0, 40.0], [60.0, 70.0]],
    43: [[30.0, 10.0], [90.0, 20.0], [70.0, 50.0]],
}


def several(merger, order, scenario="eight_datasets", model="ViT-B-16-quickgelu", trainer="imported", **more):
    matrix = MATRICES[order]
    value = statistics.mean(matrix[-1])
    result = record(
        f"{trainer}_{merger}",
        scenario,
        5,
        value,
        {"scenario.dataset_order": f"published_{order}"},
        kind="SeveralDatasets",
    )
    result["config"]["backbone"] = {"model": model}
    result["fingerprint"] += f"-{order}-{model}"
    result["headline"]["name"] = "metrics.task_aware.average_accuracy"
    result["metrics"] = {"task_aware": {"forgetting_max_minus_last": 2.0}}
    result["matrix"] = {"task_aware": matrix}
    result["finetuned"] = {
        "metrics": {"task_aware": {}},
        "matrix": {"task_aware": [*matrix[:1], [90, None], [None, 80]]},
    }
    return {**result, **more}


def write(folder, results):
    from cl_bench.store import write_result

    for number, result in enumerate(results):
        write_result(folder / f"{number}" / "result.json", result)


def rows(table):
    return {row.name: {column: cell.values for column, cell in row.cells.items()} for row in table.rows}


def test_a_column_for_each_scenario_and_backbone_and_means_over_orders(tmp_path):
    models = ("ViT-B-32-quickgelu", "ViT-B-16-quickgelu")
    write(tmp_path, [several(m, o, model=model) for m in ("opcm", "ties") for o in (42, 43) for model in models])
    accuracy, transfer = table_over_orders("opcm", read_all(tmp_path))
    assert accuracy.columns == ("eight_datasets, ViT-B-16", "eight_datasets, ViT-B-32")
    for column in accuracy.columns:
        assert rows(accuracy)["Imported + TIES"][column] == (65.0, 60.0)
        assert rows(accuracy)["Zero-shot"][column] == (20.0,)  # once, since the order makes no difference
        assert rows(accuracy)["Individual experts"][column] == (85.0,)
        assert rows(transfer)["Imported + TIES"][column] == (-20.0, -20.0)
    assert [row.name for row in accuracy.rows if not row.competes] == ["Zero-shot", "Individual experts"]
    assert [row.name for row in transfer.rows] == [row.name for row in accuracy.rows if row.competes]
    assert not any(cell.flags for row in accuracy.rows for cell in row.cells.values())
    assert "2 orders of arrival" in accuracy.caption and "(backward transfer), in points" in transfer.caption
    assert any("OPCM's own cannot be had" in note for note in accuracy.notes)


def test_mtil_has_its_metrics_as_columns_and_says_whose_splits(tmp_path):
    write(tmp_path, [several("ties", order, scenario="mtil", trainer="sequential") for order in (42, 43)])
    (table,) = table_over_orders("mtil", read_all(tmp_path))
    assert table.columns == ("Transfer", "Avg", "Last")
    assert rows(table)["Sequential + TIES"] == {
        "Transfer": (40.0, 20.0),
        "Avg": (pytest.approx(62.5), pytest.approx(57.5)),
        "Last": (65.0, 60.0),
    }
    # θ₀ is the same after every task: Transfer leaves out the first to be learned, so it has a value for each order.
    assert rows(table)["Zero-shot"] == {"Transfer": (30.0, 10.0), "Avg": (20.0,), "Last": (20.0,)}
    assert not any("drawn from that seed" in note for note in table.notes)
    assert "Individual experts" not in rows(table)  # these weights have learned earlier tasks, too
    assert any("no published number" in note for note in table.notes)


def test_orders_that_are_seeds_are_said_to_be_nobodys(tmp_path):
    result = several("ties", 42, scenario="mini_eight")
    result["config"]["scenario"]["dataset_order"] = 42
    write(tmp_path, [result])
    accuracy, _ = table_over_orders("opcm_mini", read_all(tmp_path))
    assert "Orders that are numbers are drawn from that seed; nobody has published them." in accuracy.notes
    assert not any("NUFILT" in note for note in accuracy.notes)


def test_what_some_runs_do_differently_is_said_but_not_their_order(tmp_path):
    other = several("ties", 43)
    other["config"] = {**other["config"], "merger": {**other["config"]["merger"], "density": 0.5}}
    first = several("ties", 42)
    first["config"] = {**first["config"], "merger": {**first["config"]["merger"], "density": 0.2}}
    write(tmp_path, [first, other])
    accuracy, _ = table_over_orders("opcm", read_all(tmp_path))
    (flags,) = [row.cells["eight_datasets"].flags for row in accuracy.rows if row.competes]
    assert sorted(flags) == ["merger.density 0.2 (1 of 2 runs)", "merger.density 0.5 (1 of 2 runs)"]


def test_one_order_twice_with_other_numbers_is_refused(tmp_path):
    twice = several("ties", 42)
    twice["headline"] = {**twice["headline"], "value": 1.0}
    write(tmp_path, [several("ties", 42), twice])
    with pytest.raises(UserError, match="numbers differ"):
        table_over_orders("opcm", read_all(tmp_path))


def test_notes_of_records_are_printed(tmp_path):
    write(tmp_path, [several("ties", 42, notes=["Test images may be among them."])])
    accuracy, _ = table_over_orders("opcm", read_all(tmp_path))
    assert "eight_datasets: Test images may be among them." in accuracy.notes


def test_the_command_writes_them_and_refuses_other_scenarios(tmp_path, capsys):
    write(tmp_path / "runs", [several("ties", order) for order in (42, 43)])
    assert main(["table", "opcm", str(tmp_path / "runs"), str(tmp_path / "out")]) == 0
    names = {f"opcm{metric}.{ending}" for metric in ("", "_backward_transfer") for ending in ("md", "tex", "csv")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert "62.50 ± 3.54" in (tmp_path / "out/opcm.md").read_text()
    write(tmp_path / "others", [record("cmm", "cars_5", 5, 80.0)])
    assert main(["table", "mtil", str(tmp_path / "others"), str(tmp_path / "out")]) == 2
    assert "Table mtil is of runs on several data sets." in capsys.readouterr().err


def test_the_page_has_those_of_the_sweeps_folders(tmp_path):
    write(tmp_path / "multirun/table_opcm_mini", [several("ties", 42, scenario="mini_eight")])
    write(tmp_path / "multirun/orders", [several("opcm", 42)])
    found = all_tables_over_orders(read_all(tmp_path))
    assert [table.name for table in found] == ["opcm_mini", "opcm_mini_backward_transfer"]
    assert {"opcm_mini", "mtil"} < set(NAMES)


def with_head(result, name, value):
    result["choices"] |= {"head": name}
    result["fingerprint"] += f"-{name}"
    result["headline"]["value"] = value
    result["finetuned"]["metrics"]["task_aware"]["plasticity"] = value
    return result


def test_heads_have_columns_of_their_own(tmp_path):
    runs = [
        with_head(several(merger, 42, trainer="independent"), head, value)
        for merger in ("opcm", "ties")
        for head, value in (("zero_shot", 65.0), ("prototypes", 85.0))
    ]
    write(tmp_path, runs)
    accuracy = table_over_orders("opcm", read_all(tmp_path))[0]
    words, means = "eight_datasets, ViT-B-16", "eight_datasets, ViT-B-16 with prototypes"
    assert rows(accuracy)["Individual experts"] == {words: (65.0,), means: (85.0,)}


def test_a_method_that_has_another_size_than_the_others_is_flagged(tmp_path):
    runs = [several(merger, order) for merger in ("opcm", "ties", "magmax") for order in (42, 43)]
    for number, run in enumerate(runs):
        run["config"]["backbone"]["size"] = 384 if number in (2, 3) else 224
    write(tmp_path, runs)
    flagged = {
        row.name: flags
        for row in table_over_orders("opcm", read_all(tmp_path))[0].rows
        for cell in row.cells.values()
        if (flags := cell.flags)
    }
    assert flagged == {"Imported + TIES": ("backbone.size 384 (2 of 2 runs)",)}
