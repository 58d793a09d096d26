"""Orders as lists of numbers: names where the data set calls its classes so, positions elsewhere, never a mixture."""

import json
import logging
import random

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from cl_bench.experiment.parts import build
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import order
from tests.conftest import FEW_STEPS, ROOT

TWELVE = sorted(map(str, range(12)))  # 0, 1, 10, 11, 2, …: as folders are sorted


def resolve(listed, names=TWELVE, **options):
    return order.resolve(listed, names, "own", "class_order", **options)


@pytest.mark.parametrize(
    ("listed", "names", "expected"),
    [
        (list(range(12)), TWELVE, [TWELVE.index(str(i)) for i in range(12)]),
        ([*map(str, range(12))], TWELVE, [TWELVE.index(str(i)) for i in range(12)]),
        ([2, 0, 1], ["cat", "dog", "owl"], [2, 0, 1]),
        (["2", "0", "1"], ["cat", "dog", "owl"], [2, 0, 1]),
        ([2, 1], ["1", "2"], [1, 0]),
        ([0, 1], ["1", "2"], [0, 1]),  # 0 is no name, so none of them is one
        ([1.5, 0.5], ["0.5", "1.5"], [1, 0]),
        ([True, False], ["false", "true"], [1, 0]),
        (["dog", "cat"], ["cat", "dog"], [1, 0]),
        ([1.1, 1.2], ["1.10", "1.2"], [0, 1]),
        ([1000.0, None, "no", 1.0], ["1.0", "1e3", "no", "null"], [1, 3, 2, 0]),
    ],
)
def test_names_come_first_and_positions_where_not_all_are_names(listed, names, expected):
    assert resolve(listed, names) == expected


@pytest.mark.parametrize(
    ("listed", "names", "message"),
    [
        ([0, "dog"], ["cat", "dog"], r"mixes names \(dog\) and numbers that are no names \(0\)"),
        ([1, "cat", 0], ["1", "cat", "dog"], r"mixes names \(cat\) and numbers that are no names \(0\)"),
        ([1.1, 1.2], ["1.10", "1.1"], r"names 1.2, which is none of: 1.10, 1.1; a name that looks like a number"),
        ([True, False], ["0", "1"], "names True, which is none of"),
        ([0, 7], ["cat", "dog"], "names 7, which is none of: cat, dog"),
        ([-1, 0], ["cat", "dog"], "names -1"),
        (["10", "10"], ["10", "11"], "leaves out 1 .11."),
    ],
)
def test_what_is_neither_is_refused(listed, names, message):
    with pytest.raises(UserError, match=f"^task_order .*{message}"):
        resolve(listed, names)


def test_the_log_says_which_was_taken(caplog):
    caplog.set_level(logging.INFO, "cl_bench")
    resolve([1, 0], ["cat", "dog"])
    assert "task_order: its numbers are taken as positions of classes, from 0: dog, cat" in caplog.text
    caplog.clear()
    resolve([*range(12)])
    assert "task_order: its numbers are taken as names of classes: 0, 1, 2, 3, 4, 5, 6, 7, … (12 in all)" in caplog.text
    caplog.clear()
    resolve([0, 1, 2], ["0", "10", "2"])  # 1 is no name
    assert "taken as positions of classes, from 0: 0, 10, 2" in caplog.text
    caplog.clear()
    resolve(["dog", "cat"], ["cat", "dog"])
    resolve(3)
    assert not caplog.text


def test_items_of_a_file_are_the_text_that_stands_there(tmp_path):
    """YAML's 010 is 8, and its 1.10 is 1.1."""
    file = tmp_path / "order.yaml"
    file.write_text("[010, 009, 1.10, no]")
    assert resolve(str(file), ["009", "010", "1.10", "no"]) == [1, 0, 2, 3]
    file.write_text("[[0, 1]]")
    with pytest.raises(UserError, match="must hold one list of numbers or names"):
        resolve(str(file), ["0", "1"])


@pytest.mark.parametrize("setting", ["true", "1.0", "{a: 0}"])
def test_what_is_neither_a_seed_nor_a_list_is_refused(configure, setting):
    with pytest.raises(UserError, match=r"scenario.class_order=.* does not fit"):
        build(configure(f"task_order={setting}"))


@pytest.mark.parametrize(
    ("scenario", "own"),
    [
        (["scenario=data_incremental"], "scenario.deal_seed=…"),
        (["scenario=avalanche", "backbone=tiny_clip"], "scenario.seed=…"),
    ],
)
def test_an_order_for_a_scenario_that_has_none_is_refused(configure, scenario, own):
    with pytest.raises(UserError, match=f"^task_order=3 means nothing to this scenario; what it draws by: {own}"):
        build(configure(*scenario, "task_order=3"))


@pytest.mark.slow
def test_folders_called_by_numbers_arrive_as_they_are_called(run_py, tmp_path):
    for name in range(12):
        for number in range(4):
            path = tmp_path / "images" / f"{name}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 32, 3), 20 * name + number, dtype=np.uint8)).save(path)
    numbers = ",".join(map(str, range(12)))
    run = run_py("scenario=folder", "backbone=tiny_clip", "dataset.root=images", "scenario.tasks=3",
                 "hydra.run.dir=run", f"task_order=[{numbers}]", "evaluation=final", *FEW_STEPS)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "task_order: its numbers are taken as names of classes: 0, 1, 2, 3, 4" in run.stdout
    tasks = [task["name"] for task in json.loads((tmp_path / "run" / "result.json").read_text())["tasks"]]
    assert tasks == ["0, 1, 2, 3", "4, 5, 6, 7", "8, 9, 10, 11"]


POOL = (
    *("sun397", "cars", "resisc45", "eurosat", "svhn", "gtsrb", "mnist", "dtd", "flowers102", "pcam"),
    *("fer2013", "oxford_iiit_pet", "stl10", "cifar100", "cifar10", "food101", "fashion_mnist", "emnist", "kmnist"),
    "rendered_sst2",
)


@pytest.mark.parametrize(("scenario", "tasks"), [("eight", 8), ("fourteen", 14), ("twenty", 20)])
def test_published_merging_orders_are_shuffles_of_the_pool_by_pythons_generator(scenario, tasks):
    pool = POOL[:tasks]
    names = list(OmegaConf.load(ROOT / f"conf/scenario/{scenario}_datasets.yaml").scenario.datasets)
    assert sorted(names) == sorted(pool)
    for seed in range(40, 52):
        shuffled = list(pool)
        random.Random(seed).shuffle(shuffled)
        numbers = order.resolve(f"published_{seed}", names, "datasets", "dataset_order", some=True)
        assert [names[i] for i in numbers] == shuffled


@pytest.mark.parametrize(
    ("names", "typed", "message"),
    [
        (
            POOL,
            "published_52",
            "published_52: nobody has published such an order; there are published_40 to published_51",
        ),
        (
            ["a", "b"],
            "published_42",
            "but for eight_datasets, fourteen_datasets, twenty_datasets; use a seed or a list",
        ),
    ],
)
def test_other_merging_orders_are_refused(names, typed, message):
    with pytest.raises(UserError, match=message):
        order.resolve(typed, names, "datasets", "dataset_order", some=True)
