"""Steps as PROTOCOL counts them, and the estimate for every table."""

import pytest

from benchmarks.cost import Work, main, work
from cl_bench.reports.tables.layouts import LAYOUTS


@pytest.mark.parametrize(
    ("scenario", "tasks", "steps_of_a_task"),
    [("cifar100_10", 10, 400), ("cifar100_20", 20, 200), ("imagenet_r_5", 5, 380), ("imagenet_r_50", 50, 40)],
)
def test_steps_are_those_that_the_published_warm_up_was_compared_with(configure, scenario, tasks, steps_of_a_task):
    found = work(configure(f"scenario={scenario}"))
    assert (found.tasks, found.steps) == (tasks, tasks * steps_of_a_task) and found.steps == 10 * found.batches


def test_domains_count_with_their_own_sizes(configure):
    found = work(configure("scenario=office31"))  # 2,254, 398 and 636 training images
    assert found == Work(3, 10 * (18 + 4 + 5), 18 + 4 + 5, 822 / 128, ("office31",))
    assert work(configure("scenario=imagenet_r_domains")).tasks == 15


def test_eight_data_sets_have_their_own_epochs(configure):
    batches = {
        "cars": 64,
        "mnist": 469,
        "eurosat": 169,
        "svhn": 573,
        "resisc45": 148,
        "sun397": 156,
        "dtd": 30,
        "gtsrb": 209,
    }
    epochs = {"cars": 35, "mnist": 5, "eurosat": 12, "svhn": 4, "resisc45": 15, "sun397": 14, "dtd": 75, "gtsrb": 11}
    found = work(configure("scenario=eight_datasets"))
    assert found.steps == sum(batches[name] * epochs[name] for name in epochs)
    assert found.batches == sum(batches.values()) and set(found.datasets) == set(epochs)


@pytest.mark.slow
def test_every_table_has_an_estimate_that_grows_with_the_time_of_a_step(tmp_path, command, capsys, monkeypatch):
    def estimates(printed):
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in printed.splitlines()[2:]]
        return {row[0]: [float(cell.replace(",", "")) for cell in row[1:]] for row in rows}

    done = command("-m", "benchmarks.cost", "100", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    once = estimates(done.stdout)
    assert list(once) == ["cil", "dil", "8ds", "ablation"]
    cil_runs, cil_trainings, cil_steps, *_ = once["cil"]
    assert cil_runs == 14 * 13 * 3 and cil_trainings == 14 * 7 * 3  # 13 methods, among them 7 ways of training
    assert cil_steps > 7 * 3 * (4 * 3900 + 4 * 1880)  # CIFAR-100 and ImageNet-R alone
    smallest = [layout for layout in LAYOUTS if layout.name == "8ds"]
    monkeypatch.setattr("benchmarks.cost.LAYOUTS", smallest)  # of which a fifth has to be composed
    main(200)
    twice = estimates(capsys.readouterr().out)["8ds"]
    assert twice[3] == pytest.approx(2 * once["8ds"][3], abs=1) and twice[4:] == once["8ds"][4:]
