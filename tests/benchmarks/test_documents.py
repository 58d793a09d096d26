"""The scripts that write `docs/` from records: what stands in their tables, and which records they refuse."""

import pytest

from benchmarks import first_results, learning_rates, mergers, miniature, trainers
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.conftest import ROOT
from tests.reports import test_left_out as left_out
from tests.reports import test_scaling as scalings
from tests.reports.small_records import record


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


def write_merged(folder, merger, seed, value, trainer="sequential", grid=(0.2, 0.4), **more):
    choices = {"scenario": "digits_5", "trainer": trainer, "merger": merger, **more.pop("choices", {})}
    own = {"accuracy": {"task_agnostic": value, "task_aware": value + 5}}
    scalings = [{"scaling": scaling, "chosen": i == (seed - 1) % 2, **own} for i, scaling in enumerate(grid)] or None
    headline = {"name": "accuracy.task_agnostic", "value": value}
    result = record(seed=seed, choices=choices, headline=headline, finetuned=False, fingerprint=f"{merger}{seed}")
    result |= own | {"scalings": scalings, "peak_memory_mib": {"merging": 800.0}} | more
    write_result(folder / f"runs/{trainer}/{merger}{choices}/{seed}/result.json", result)


def test_mergers_has_every_method_and_a_row_of_accuracies_for_each_that_was_run(tmp_path, command):
    for seed, value in ((1, 60.0), (2, 64.0)):
        for trainer in ("independent", "sequential"):
            write_merged(tmp_path, "ties", seed, value, trainer)
    done = command("-m", "benchmarks.mergers", "runs", "page.md", cwd=tmp_path)  # as `make mergers` types it
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text()
    rows = {line[3 : line.index("]")]: line for line in page.splitlines() if line.startswith("| [")}
    assert {path.stem for path in (ROOT / "conf" / "merger").glob("*.yaml")} == rows.keys()
    assert all((ROOT / "docs" / line.split("(")[1].split(")")[0]).is_file() for line in rows.values())
    assert "| ties | 62.0 ± 2.8 | 62.0 ± 2.8 |" in page and "| ties | 0.3 ± 0.1 | 0.3 ± 0.1 |" in page
    assert "`second_moments` | 2 | `alpha=0.4`" in rows["cmm"] and "2509.23592" in rows["cmm"]
    assert "all tasks" in rows["tsv"] and "among 0.2, 0.4," in page


def test_mergers_begins_with_what_holds_and_compares_like_with_like(tmp_path):
    for seed in range(1, 11):
        write_merged(tmp_path, "average", seed, 50.0)
        write_merged(tmp_path, "tsv", seed, 52.0 + seed / 10)
        write_merged(tmp_path, "magmax", seed, 50.0 + (-1) ** seed * seed / 10)
        write_merged(tmp_path, "last", seed, 40.0 + seed / 10)
        for inner in ("ties", "tsv"):
            more = {"choices": {"merger@merger.of": inner}}
            write_merged(tmp_path, "weight_weaving", seed, 51.0 + seed / 10, grid=(), **more)
        write_merged(tmp_path, "emr", seed, 55.0, per_task={})
        write_merged(tmp_path, "adamerging", seed, 70.0, sees_test_images=True)
    mergers.write(tmp_path / "runs", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    first = page.split("\n\n")[1]
    assert (
        "Against `average`, better after Holm's correction are `tsv` (+2.5 points), `weight_weaving of ties` " in first
    )
    assert "worse are `last` (-9.4 points); of the other 1 nothing can be said. Against `magmax`, better" in first
    compared = page[page.index("### Against") : page.index("### Accuracy")]
    assert "| tsv | 10 | +2.5 | +1.00 | **0.010** |" in compared and "| average | 10 |  |  |  |" in compared
    assert "emr" not in compared and "adamerging" not in compared
    apart = page[page.index("## Rules that compete with no other") :]
    assert "| adamerging | 75.0 ± 0.0 |" in apart and "| emr | 60.0 ± 0.0 |" in apart and "| magmax |" in apart
    assert "| tsv |" not in apart[: apart.index("## All of them")]


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


def test_tables_take_the_headline_and_its_kind_where_the_other_is_left_out(tmp_path):
    runs = tmp_path / "runs"
    for seed in (1, 2):
        write_result(runs / f"{seed}/result.json", left_out.record(seed=seed, value=60.0 + seed))
    first_results.write(runs, tmp_path / "first.md")
    assert "| sequential_magmax | 61.5 ± 0.7 |" in (tmp_path / "first.md").read_text()
    learning_rates.write(runs, tmp_path / "rates.md")
    assert "| 0.0002 | 51.5 ± 0.7 |" in (tmp_path / "rates.md").read_text()
    trainers.write(runs, runs, tmp_path / "trainers.md")
    assert "| sequential | 52.5 ± 0.7 | 7.5 ± 0.0 | 62.5 ± 0.7 |" in (tmp_path / "trainers.md").read_text()


PAGES = {
    "first_results": lambda runs, out: first_results.write(runs, out),
    "learning_rates": lambda runs, out: learning_rates.write(runs, out),
    "mergers": lambda runs, out: mergers.write(runs, out),
    "trainers": lambda runs, out: trainers.write(runs, runs, out),
}


@pytest.mark.parametrize("page", PAGES)
def test_pages_refuse_it_with_the_remedy(tmp_path, page):
    scalings.write(tmp_path / "runs", scalings.unchosen())
    with pytest.raises(UserError, match=r"1 run with a list of λ .* merger\.scaling=0\.4"):
        PAGES[page](tmp_path / "runs", tmp_path / "page.md")


def test_the_page_of_mergers_takes_lists_that_were_chosen_from_only(tmp_path):
    scalings.write(tmp_path / "runs", scalings.record())
    with pytest.raises(UserError, match=r"0/result.json has one λ"):
        mergers.write(tmp_path / "runs", tmp_path / "page.md")


@pytest.mark.parametrize("page", ["first_results", "learning_rates", "trainers"])
def test_pages_do_not_average_over_settings(tmp_path, page):
    scalings.write(tmp_path / "runs", scalings.record(density=0.2), scalings.record(density=0.5, value=10.0))
    with pytest.raises(UserError, match=r"0/result.json and .*1/result.json are both .* with different settings"):
        PAGES[page](tmp_path / "runs", tmp_path / "page.md")
