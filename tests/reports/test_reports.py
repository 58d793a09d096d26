"""Pictures and tables from a made-up record."""

import matplotlib.image
import numpy as np
import pytest

from cl_bench.reports import first_results, heat_maps, learning_rates, mergers, miniature, show, trainers
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.conftest import ROOT


def record(tasks=3, joint=False, finetuned=True, **more):
    rows = 2 if joint else tasks + 1
    random = np.random.default_rng(0)
    kinds = ("task_agnostic", "task_aware")
    values = {
        "accuracy": {"task_agnostic": 61.25, "task_aware": 88.5},
        "accuracy_after_task": {kind: [12.5] * (rows - 1) + [61.25] for kind in kinds},
        "metrics": {kind: {"forgetting_max_minus_last": 7.5, "average_accuracy": 60.0} for kind in kinds},
        "matrix": {kind: random.uniform(0, 100, (rows, tasks)).tolist() for kind in kinds},
    }
    return {
        "schema": 3,
        "choices": {"scenario": "made_up", "trainer": "sequential", "merger": "magmax"},
        "scenario": {"name": "made_up", "datasets": ["made_up"], "kind": "class-incremental", "tasks": tasks},
        "datasets": [{"name": "made_up", "images": "0" * 64}],
        "tasks": [{"name": f"task {i}"} for i in range(tasks)],
        "config": {"method": "sequential_magmax", "optim": {"lr": 2e-4}},
        "split": "test",
        "seed": 5,
        "fingerprint": "f",
        "headline": {"name": "accuracy.task_agnostic", "value": 61.25},
        **values,
        "left_out": {},
        "scalings": None,
        "finetuned": values if finetuned else None,
        "training": [{"seconds": 1.0, "reused": i > 0, "steps": 3} for i in range(1 if joint else tasks)],
        "seconds": {"training": 3.0, "merging": 0.1, "evaluation": 0.2},
        "versions": {"torch": "0"},
        **more,
    }


@pytest.mark.parametrize("tasks", [1, 3, 20, 50, 300])
def test_heat_maps_are_drawn_for_every_number_of_tasks(tmp_path, tasks):
    paths = heat_maps(record(tasks), tmp_path)
    assert [path.name for path in paths] == ["matrix_merged.png", "matrix_finetuned.png"]
    picture = matplotlib.image.imread(paths[0])
    assert picture.std() > 0.05 and min(picture.shape[:2]) > 200


def test_heat_maps_show_each_value_in_its_cell(tmp_path):
    values = {"task_agnostic": [[0.0, 0.0], [100.0, 0.0], [100.0, 100.0]], "task_aware": [[50.0, 50.0]] * 3}
    (path,) = heat_maps(record(2, finetuned=False, matrix=values), tmp_path)
    picture = matplotlib.image.imread(path)[..., :3]
    yellow = (np.abs(picture - np.array([0.995, 0.909, 0.218])) < 0.02).all(axis=-1)
    blue = (np.abs(picture - np.array([0.0, 0.135, 0.305])) < 0.02).all(axis=-1)
    left = slice(0, picture.shape[1] // 2)
    rows, _ = np.nonzero(yellow[:, left])
    assert yellow[:, left].sum() == pytest.approx(blue[:, left].sum(), rel=0.25)  # three cells each
    assert rows.mean() > np.nonzero(blue[:, left])[0].mean()


def test_joint_and_unevaluated_matrices_are_drawn(tmp_path):
    matrix = {kind: [[1.0, 2.0, 3.0], [None, None, None]] for kind in ("task_agnostic", "task_aware")}
    assert len(heat_maps(record(joint=True, finetuned=False, matrix=matrix), tmp_path)) == 1


def test_a_run_that_learned_nothing_is_drawn(tmp_path):
    matrix = {kind: [[1.0, 2.0, 3.0]] for kind in ("task_agnostic", "task_aware")}
    assert len(heat_maps(record(finetuned=False, matrix=matrix, training=[]), tmp_path)) == 1


def test_the_table_names_models_and_numbers(capsys, tmp_path):
    show(record(), tmp_path)
    printed = capsys.readouterr().out
    for word in ("zero-shot", "sequential + magmax", "12.50", "61.25", "88.50", "7.50", "2 of 3 tasks reused"):
        assert word in printed


def test_a_long_import_path_leaves_the_numbers_their_room(capsys, tmp_path):
    choices = record()["choices"] | {"merger": "my_company.research.continual.mergers.MedianOfMedians"}
    show(record(choices=choices), tmp_path)
    printed = capsys.readouterr().out
    for word in ("sequential + my_company.research", "continual.mergers.Median", "12.50", "61.25", "88.50", "7.50"):
        assert word in printed


def test_first_results_has_mean_and_standard_deviation_over_seeds(tmp_path):
    for seed, value in ((1, 60.0), (2, 64.0), (3, 65.0)):
        headline = {"name": "accuracy.task_agnostic", "value": value}
        write_result(tmp_path / f"runs/{seed}/result.json", record(seed=seed, headline=headline, fingerprint=str(seed)))
    first_results.write(tmp_path / "runs", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| sequential_magmax | 63.0 ± 2.6 |" in page and "| sequential_magmax | 7.5 ± 0.0 |" in page
    assert "3 runs, seeds 1, 2, 3" in page and "9 s of training" in page


def test_learning_rates_has_a_row_per_rate(tmp_path):
    for lr, value in ((1e-3, 40.0), (2e-4, 50.0)):
        headline, config = {"name": "accuracy.task_agnostic", "value": value}, {"optim": {"lr": lr}}
        write_result(tmp_path / f"runs/{lr}/result.json", record(headline=headline, config=config))
    learning_rates.write(tmp_path / "runs", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert page.index("| 0.0002 | 50.0 |") < page.index("| 0.001 | 40.0 |") < page.index("| 0.0002 | 61.2 |")


def test_trainers_has_a_row_per_trainer_and_columns_per_scenario(tmp_path):
    def write(folder, trainer, scenario, value, **more):
        choices = {"scenario": scenario, "trainer": trainer, "merger": "magmax"}
        measured = {"name": scenario, "datasets": [scenario], "kind": "class-incremental", "tasks": 3}
        own = {"accuracy": {"task_agnostic": value}, "metrics": {"task_agnostic": {"forgetting_max_minus_last": 1.0}}}
        result = record(
            choices=choices, scenario=measured, finetuned=False, peak_memory_mib={"training": 900.0}, **more
        )
        path = tmp_path / folder / trainer / scenario / str(value) / "result.json"
        write_result(path, {**result, "finetuned": own, "headline": {"name": "x", "value": value}})

    for value in (70.0, 74.0):
        write("runs", "ewc", "a", value, seed=int(value))
        write("rates", "lora", "a", value, seed=int(value))
        write("rates", "lora", "b", value + 10, seed=int(value))
    write("runs", "sequential", "b", 50.0)
    trainers.write(tmp_path / "runs", tmp_path / "rates", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| ewc | 72.0 ± 2.8 | 1.0 ± 0.0 | 61.2 ± 0.0 | 7.5 ± 0.0 | 3.0 ± 0.0 | 900.0 ± 0.0 |  |" in page
    assert page.index("| sequential |") < page.index("| ewc |")
    assert "| lora | 0.0002 | 72.0 ± 2.8 | 82.0 ± 2.8 | 77.0 |" in page


def test_mergers_has_every_method_and_a_row_of_accuracies_for_each_that_was_run(tmp_path):
    for seed, value in ((1, 60.0), (2, 64.0)):
        for trainer in ("independent", "sequential"):
            choices = {"scenario": "digits_5", "trainer": trainer, "merger": "ties"}
            own = {"accuracy": {"task_agnostic": value}}
            scalings = [{"scaling": 0.2, "chosen": seed == 1, **own}, {"scaling": 0.4, "chosen": seed == 2, **own}]
            headline = {"name": "accuracy.task_agnostic", "value": value}
            result = record(seed=seed, choices=choices, headline=headline, finetuned=False)
            write_result(tmp_path / f"runs/{trainer}/{seed}/result.json", {**result, "scalings": scalings})
    mergers.write(tmp_path / "runs", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    rows = {line[3 : line.index("]")]: line for line in page.splitlines() if line.startswith("| [")}
    assert {path.stem for path in (ROOT / "conf" / "merger").glob("*.yaml")} == rows.keys()
    assert all((ROOT / "docs" / line.split("(")[1].split(")")[0]).is_file() for line in rows.values())
    assert "| ties | 62.0 ± 2.8 | 62.0 ± 2.8 |" in page and "| ties | 0.3 ± 0.1 | 0.3 ± 0.1 |" in page
    assert "`second_moments` | 2 | `alpha=0.4`" in rows["cmm"] and "2509.23592" in rows["cmm"]
    assert "all tasks" in rows["tsv"] and "among 0.2, 0.4," in page


def test_a_page_without_records_names_the_folder(tmp_path):
    with pytest.raises(UserError, match=r"no result\.json below"):
        first_results.write(tmp_path, tmp_path / "page.md")


def test_the_page_of_the_miniature_has_its_tables_and_pictures(tmp_path):
    for seed in (1, 2):
        write_result(tmp_path / f"runs/{seed}/result.json", record(seed=seed))
    for path, text in {"tables/cil_mini.md": "| a | b |\n", "figures/x_digits_5.txt": "What x is.\n"}.items():
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_text(text)
    (tmp_path / "out/figures/x_digits_5.png").touch()
    miniature.write(tmp_path / "out", 754.0, tmp_path / "runs")
    page = (tmp_path / "out/README.md").read_text()
    assert "| a | b |" in page and "![What x is.](figures/x_digits_5.png)" in page
    assert "13 minutes" in page and "2 runs, two at a time, of 1 trainings" in page
