"""What a record says of tasks and data sets, also of thousands of classes."""

import json

import numpy as np
import pytest

from cl_bench.experiment.record import _tasks
from cl_bench.images.images import ImageDataset, Images
from cl_bench.scenarios import ClassIncremental, DataIncremental, DomainIncremental, SeveralDatasets


def dataset(names, domains=(), per_class=2, name="made_up"):
    """One image of one pixel for each class and domain, and so many to train on."""

    def images(count):
        of_all = max(1, len(domains)) * len(names) * count
        labels = np.arange(of_all) % len(names)
        parts = np.arange(of_all) // (len(names) * count) if domains else None
        return Images(np.zeros((of_all, 1, 1, 3), np.uint8), labels, parts)

    return ImageDataset(name, tuple(names), ("{}",), images(per_class), images(1), tuple(domains))


def tasks(scenario):
    return _tasks(scenario, [len(task.samples) for task in scenario.test_stream])


def test_domains_have_all_classes_and_their_training_images_are_counted():
    made = tasks(DomainIncremental(dataset("abc", domains=("x", "y"), per_class=5), validation_share=0.2))
    assert made == [
        {"name": name, "classes": 3, "images": 3, "training_images": 12, "class_names": None} for name in "xy"
    ]


def test_tasks_of_classes_name_theirs():
    made = tasks(ClassIncremental(dataset("abcde"), tasks=2, class_order=[4, 3, 2, 1, 0]))
    assert [task["class_names"] for task in made] == [["d", "e"], ["a", "b", "c"]]
    assert [task["training_images"] for task in made] == [4, 6]


def test_data_sets_and_shares_have_all_classes_of_theirs():
    several = SeveralDatasets({"one": dataset("ab", name="digits"), "two": dataset("ab", per_class=3, name="digits")})
    assert [(task["name"], task["training_images"], task["class_names"]) for task in tasks(several)] == [
        ("one", 4, None),
        ("two", 6, None),
    ]
    assert [data.name for data in several.datasets] == ["one", "two"]
    dealt = tasks(DataIncremental(dataset("ab", per_class=4), tasks=2))
    assert [(task["training_images"], task["class_names"]) for task in dealt] == [(4, None)] * 2


@pytest.mark.parametrize("kind", ["classes", "domains"])
def test_thousands_of_classes_do_not_swell_the_record(kind):
    names = [f"a class of some ünusual name {i}" for i in range(3000)]
    if kind == "classes":
        made = tasks(ClassIncremental(dataset(names, per_class=1), tasks=5))
        assert made[0]["name"].endswith("name 19, … (600 classes)") and len(made[0]["name"]) < 1000
        assert [name for task in made for name in task["class_names"]] == names
    else:
        made = tasks(DomainIncremental(dataset(names, domains=("x", "y", "z"), per_class=1)))
    all_names = len(json.dumps(names, ensure_ascii=False))
    assert len(json.dumps(made, ensure_ascii=False)) < (1.2 * all_names if kind == "classes" else 1000)
