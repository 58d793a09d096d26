"""Every table, built from stored records, and the numbers in it."""

import statistics

import pytest

from cl_bench.reports.records import read_all
from cl_bench.reports.tables.papers import NAMES, all_papers_tables, papers_table
from cl_bench.runtime.errors import UserError
from tests.reports.made_up import record, write

EIGHT = ("cars", "mnist", "eurosat")


def several(method, scenario, seed, accuracies, order=None):
    """A record of several data sets; `accuracies` after the last task, by data set."""
    names = [EIGHT[i] for i in order] if order else list(EIGHT)
    mean = statistics.mean(accuracies.values())
    settings = {"scenario.datasets": {name: {} for name in EIGHT}, "scenario.dataset_order": order}
    result = record(method, scenario, seed, mean, settings, kind="SeveralDatasets")
    result["headline"]["name"] = "metrics.task_aware.average_accuracy"
    result["metrics"] = {"task_aware": {"forgetting_max_minus_last": 2.0}}
    result["matrix"] = {"task_aware": [[0.0] * len(names), [accuracies[name] for name in names]]}
    return result


def rows(table):
    return {row.name: row.cells for row in table.rows}


@pytest.fixture
def built(tmp_path):
    def built(name, *records):
        write(tmp_path / f"table_{name}", *records)
        return papers_table(name, read_all(tmp_path))

    return built


def test_class_incremental_has_rows_and_columns_in_the_papers_order(built):
    methods = ("cmm", "sequential_magmax", "independent_magmax", "zero_shot", "lora_magmax", "ewc_last", "joint")
    scenarios = ("cub200_5", "imagenet_r_10", "cifar100_10", "cifar100_5", "my_own")
    table, _ = built("cil", *(record(method, scenario, 5, 50.0) for method in methods for scenario in scenarios))
    ours = [column for column in table.columns if column not in table.references]
    assert ours == ["cifar100_5", "cifar100_10", "imagenet_r_10", "cub200_5", "my_own"]
    names = [row.name for row in table.rows]
    assert names == [
        *("Zero-shot", "Joint", "LwF", "EWC", "RandMix", "MaxAbs", "Average", "TIES", "DARE", "Fisher", "MagMax"),
        *("EWC + last", "LoRA + MagMax", "CMM"),
    ]
    assert [row.name for row in table.rows if not row.competes] == ["Zero-shot", "Joint"]


def test_mean_and_deviation_are_over_seeds(built):
    values = (81.0, 83.5, 84.0)
    records = [record("sequential_magmax", "cifar100_5", seed, v) for seed, v in zip((1, 3, 5), values, strict=True)]
    table, forgetting = built("cil", *records, record("cmm", "cifar100_5", 5, 70.0))
    cell = rows(table)["MagMax"]["cifar100_5"]
    assert sorted(cell.values) == list(values) and not cell.source
    assert cell.mean == pytest.approx(248.5 / 3) and cell.deviation == pytest.approx(1.6072751268)
    assert rows(table)["CMM"]["cifar100_5"].deviation is None
    assert "seeds 1, 3, 5, n = 3" in table.caption and "task-agnostic" in table.caption
    assert rows(forgetting)["MagMax"]["cifar100_5"].mean == pytest.approx(100 - 248.5 / 3)
    assert (forgetting.name, forgetting.higher_is_better) == ("cil_forgetting", False)


def test_published_numbers_stand_in_columns_of_their_own(built):
    table, forgetting = built("cil", record("sequential_magmax", "cifar100_10", 5, 60.0))
    assert table.columns == ("cifar100_10", "cifar100_10 ref. A", "cifar100_10 ref. B")
    assert table.references == {"cifar100_10 ref. A", "cifar100_10 ref. B"}
    own, a, b = (rows(table)["MagMax"][column] for column in table.columns)
    assert (own.values, a.values, b.values) == ((60.0,), (80.35,), (77.04,))
    assert a.source.startswith("SSE-TA4CL") and a.note == "their accuracy matrix says 76.97"
    assert "cifar100_10" not in rows(table)["LwF"] and rows(table)["LwF"]["cifar100_10 ref. A"].mean == 71.77
    assert all("reference, not ours" in note for note in table.notes) and len(table.notes) == 2
    assert rows(forgetting)["EWC"]["cifar100_10 ref. A"].mean == 16.65


def test_there_is_no_table_of_forgetting_where_no_run_of_ours_has_any(built):
    unknown = {"task_agnostic": {"forgetting_max_minus_last": None}}
    (table,) = built("cil", record("sequential_magmax", "cifar100_10", 5, 60.0, metrics=unknown))
    assert table.name == "cil"


def test_domain_incremental(built):
    table, _ = built("dil", *(record("cmm", scenario, 5, 61.0) for scenario in ("office31", "domainnet")))
    assert table.columns == ("domainnet", "office31") and "all domains together" in table.caption
    assert rows(table)["CMM"]["office31"].mean == 61.0 and [row.name for row in table.rows] == ["CMM"]


def test_below_a_table_stands_which_rule_cmm_and_ewc_followed(built):
    released = {"merger.second_moments": False}
    table, _ = built(
        "dil",
        *(record("cmm", scenario, 5, 61.0, released) for scenario in ("office31", "domainnet")),
        record("cmm_without_second_moments", "image_clef", 5, 61.0, released, kind="DomainIncremental"),
        record("cmm_with_second_moments", "office31", 5, 60.0, {"merger.second_moments": True}),
        record("ewc", "domainnet", 5, 50.0, {"trainer.fisher_outputs": "features"}),
        record("ewc_of_classes", "domainnet", 5, 52.0, {"trainer.fisher_outputs": "classes"}),
    )
    averaged, features = table.notes
    assert averaged.startswith("CMM on domainnet, office31: models are averaged without second moments")
    assert features.startswith("EWC on domainnet: the Fisher information is that of the encoder's features")
    assert {"EWC, Fisher information of classes", "CMM with second moments"} < {row.name for row in table.rows}


def test_where_a_table_has_both_rules_in_a_row_its_cells_say_which(built):
    class_incremental = ({"merger.second_moments": True}, {"trainer.fisher_outputs": "classes"})
    of_domains = ({"merger.second_moments": False}, {"trainer.fisher_outputs": "features"})
    table, _ = built(
        "ablation",
        *(
            record(m, s, 5, 50.0, c)
            for s in ("cub200_5", "cars_5")
            for m, c in zip(("cmm", "ewc"), class_incremental, strict=True)
        ),
        *(record(m, "domainnet", 5, 50.0, c) for m, c in zip(("cmm", "ewc"), of_domains, strict=True)),
    )
    cells = rows(table)
    assert cells["CMM"]["domainnet"].flags == ("merger.second_moments false",) and not cells["CMM"]["cub200_5"].flags
    assert cells["EWC"]["domainnet"].flags == ("trainer.fisher_outputs features",)
    assert len(table.notes) == 2 and all("on domainnet:" in note for note in table.notes)


def test_eight_data_sets_have_a_column_each_whatever_order_they_arrive_in(built):
    first = several("sequential_magmax", "eight_datasets", 1, {"cars": 60.0, "mnist": 90.0, "eurosat": 75.0})
    other = several("sequential_magmax", "eight_datasets", 2, {"cars": 62.0, "mnist": 91.0, "eurosat": 78.0}, [2, 0, 1])
    table, forgetting = built("8ds", first, other)
    assert table.columns == (*EIGHT, "mean", "mean ref. C") and forgetting.columns == ("mean",)
    cells = rows(table)["MagMax"]
    assert [cells[name].mean for name in (*EIGHT, "mean")] == [61.0, 90.5, 76.5, 76.0]
    assert cells["mean ref. C"].mean == 80.56 and "ViT-B-32" in cells["mean ref. C"].note
    assert rows(table)["MaxAbs"]["mean ref. C"].mean == 70.70 and "own classes" in table.caption


def test_ablation_takes_every_kind_and_shows_published_numbers_of_its_own_rows_only(built):
    methods = ("ewc_magmax", "sequential_ties", "cmm_plain", "sequential_magmax")
    kinds = (
        several("cmm_plain", "mini_eight", 1, dict.fromkeys(EIGHT, 40.0)),
        record("cmm_plain", "domainnet", 1, 3.0),
    )
    table, _ = built("ablation", *(record(method, "cifar100_5", 1, 50.0) for method in methods), *kinds)
    assert table.columns == ("cifar100_5", "cifar100_5 ref. A", "domainnet", "mini_eight")
    assert [row.name for row in table.rows] == ["Sequential + TIES", "MagMax", "EWC + MagMax", "CMM + plain"]
    assert [name for name, cells in rows(table).items() if "cifar100_5 ref. A" in cells] == ["MagMax"]
    assert rows(table)["CMM + plain"]["mini_eight"].mean == 40.0


def test_all_tables_come_from_the_folders_of_their_sweeps(tmp_path):
    one = record("sequential_magmax", "cifar100_5", 5, 80.0)
    write(tmp_path / "multirun/table_cil", one)
    write(tmp_path / "multirun/table_cil_mini", record("sequential_magmax", "digits_5", 5, 60.0))
    write(tmp_path / "multirun/table_dil", record("cmm", "domainnet", 5, 70.0))
    write(tmp_path / "multirun/table_8ds_mini", several("cmm", "mini_eight", 5, dict.fromkeys(EIGHT, 1.0)))
    write(tmp_path / "multirun/table_ablation", record("sequential_ties", "cifar100_5", 5, 77.0))
    write(tmp_path / "multirun/lambda", record("sequential_magmax", "cifar100_5", 5, 85.0, {"merger.scaling": 0.9}))
    found = all_papers_tables(read_all(tmp_path))
    names = ("cil", "dil", "ablation", "cil_mini", "8ds_mini")
    assert [table.name for table in found] == [f"{name}{end}" for name in names for end in ("", "_forgetting")]
    assert rows(found[0])["MagMax"]["cifar100_5"].values == (80.0,)
    assert set(names) < set(NAMES) and all_papers_tables([one]) == []


def test_the_same_experiment_of_two_sweeps_counts_once(tmp_path):
    for folder in ("table_cil", "lambda"):
        write(tmp_path / folder, record("sequential_magmax", "cub200_5", 5, 80.0))
    table, _ = papers_table("cil", read_all(tmp_path))
    assert rows(table)["MagMax"]["cub200_5"].values == (80.0,)


@pytest.mark.parametrize(
    ("value", "changes", "message"),
    [(80.5, {}, "their numbers differ"), (80.0, {"merger.scaling": 0.9}, "with different settings")],
)
def test_two_records_that_contradict_each_other_are_both_named(tmp_path, value, changes, message):
    write(tmp_path / "a", record("sequential_magmax", "cub200_5", 5, 80.0))
    write(tmp_path / "b", record("sequential_magmax", "cub200_5", 5, value, changes))
    with pytest.raises(UserError, match=message) as error:
        papers_table("cil", read_all(tmp_path))
    for folder in ("a", "b"):
        assert str(tmp_path / folder / "cub200_5/sequential_magmax/seed_5/result.json") in str(error.value)


@pytest.mark.parametrize("seed", [5, 6])
def test_a_method_that_was_edited_between_two_runs_is_no_mean_of_both(tmp_path, seed):
    code = {"versions": {"trainer": [["TaskTrainer", 1]]}, "outside": {"mine.py": "a"}}
    write(tmp_path / "a", record("sequential_mine", "cub200_5", 5, 80.0, code=code))
    write(tmp_path / "b", record("sequential_mine", "cub200_5", seed, 80.0, code={**code, "outside": {"mine.py": "b"}}))
    with pytest.raises(
        UserError, match=r"a/.* and .*b/.*, but code has changed between them \(mine.py\): run the older"
    ):
        papers_table("cil", read_all(tmp_path))
    write(tmp_path / "b", record("sequential_mine", "cub200_5", seed, 80.0, code=code))
    assert papers_table("cil", read_all(tmp_path))


def test_a_run_with_other_settings_than_its_row_is_flagged_in_its_cell(built):
    scenarios = ("cub200_5", "cars_5")
    records = [record("cmm", scenario, seed, 50.0) for scenario in scenarios for seed in (1, 2)]
    records += [record("sequential_magmax", "cars_5", seed, 50.0) for seed in (1, 2)]
    records += [
        record("sequential_magmax", "cub200_5", 1, 50.0, {"optim.batch_size": 64}),
        record("sequential_magmax", "cub200_5", 2, 50.0, {"optim.batch_size": 64, "lightning.precision": "bf16-mixed"}),
    ]
    table, _ = built("cil", *records)
    assert rows(table)["MagMax"]["cub200_5"].flags == ("batch_size 64", "precision bf16-mixed (seed 2)")
    assert all(
        not cells[c].flags for cells in rows(table).values() for c in cells if c != "cub200_5" or cells[c].source
    )


def test_validation_images_and_other_kinds_are_in_no_table(built):
    with pytest.raises(UserError, match="Table dil is of DomainIncremental runs on test images"):
        built("dil", record("cmm", "cars_5", 5, 1.0), record("cmm", "domainnet", 5, 1.0, split="validation"))


def test_the_table_of_data_sets_is_of_one_scenario(built):
    two = (several("cmm", name, 5, dict.fromkeys(EIGHT, 1.0)) for name in ("mini_eight", "eight_datasets"))
    with pytest.raises(UserError, match="these records are of eight_datasets and mini_eight"):
        built("8ds", *two)
