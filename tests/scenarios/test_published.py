"""Every published scenario, composed as on the command line, on made-up images in the layout of its release."""

import hashlib
import itertools

import pytest
import yaml

from cl_bench.experiment.scenario import make_scenario
from cl_bench.scenarios.order import PUBLISHED
from tests.helpers import releases, releases_by_folder, releases_of_twenty

WRITERS = {**releases.WRITERS, **releases_by_folder.WRITERS, **releases_of_twenty.WRITERS}
ORDERS = yaml.safe_load(PUBLISHED.read_text())
CLASS_INCREMENTAL = [
    *(("cifar100", 100, tasks, 10) for tasks in (5, 10, 20, 50)),
    *(("imagenet_r", 200, tasks, 10) for tasks in (5, 10, 20, 50)),
    *(("cub200", 200, tasks, 30) for tasks in (5, 10, 20)),
    *(("cars", 196, tasks, 30) for tasks in (5, 10, 20)),
]
SHA256 = {"cifar100": "ca1621464ae427d6", "imagenet_r": "9b976498dea52e4d", "cub200": "9b976498dea52e4d"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for write in WRITERS.values():
        write(root)
    return root


@pytest.fixture
def compose(configure, data_dir):
    def compose(*overrides):
        config = configure(f"paths.data_dir={data_dir}", *overrides)
        several = config["scenario"].get("datasets", {}).values()
        for node in (config.get("dataset"), config["scenario"].get("dataset"), *several):
            if node and "checksum" in node:
                node["checksum"] = False
        return config

    return compose


def check_published_settings(config, epochs):
    optim = config["optim"]
    assert config["backbone"]["model"] == "ViT-B-16-quickgelu" and config["seed"] == 5
    assert (optim["lr"], optim["epochs"], optim["batch_size"], optim["warmup_steps"]) == (1e-5, epochs, 128, 500)


@pytest.mark.parametrize(("name", "classes", "tasks", "epochs"), CLASS_INCREMENTAL)
def test_class_incremental(compose, name, classes, tasks, epochs):
    config = compose(f"scenario={name}_{tasks}")
    check_published_settings(config, epochs)
    scenario = make_scenario(config)
    for stream in (scenario.train_stream, scenario.test_stream):
        arrived = [experience.classes_in_this_experience for experience in stream]
        assert len(arrived) == tasks and sorted(itertools.chain(*arrived)) == list(range(classes))
        order = ORDERS["class_order"][name]
        chunks = [order[classes * i // tasks : classes * (i + 1) // tasks] for i in range(tasks)]
        assert arrived == [sorted(chunk) for chunk in chunks]
    if name in SHA256:
        assert hashlib.sha256(",".join(map(str, order)).encode()).hexdigest().startswith(SHA256[name])
    else:
        assert order == list(range(classes))
    assert len(scenario.labels[0].class_names) == classes


def test_cars_in_ten_tasks_has_19_20_19_20_classes(compose):
    scenario = make_scenario(compose("scenario=cars_10"))
    assert [len(e.classes_in_this_experience) for e in scenario.test_stream] == [19, 20, 19, 20, 20] * 2


def test_another_number_of_tasks_and_another_order_by_override(compose):
    config = compose("scenario=cub200_10", "scenario.tasks=25", "scenario.class_order=3")
    scenario = make_scenario(config)
    published = make_scenario(compose("scenario=cub200_10", "scenario.tasks=25"))
    chunks = [[e.classes_in_this_experience for e in s.train_stream] for s in (scenario, published)]
    assert [len(chunk) for chunk in chunks[0]] == [8] * 25 and chunks[0] != chunks[1]


@pytest.mark.parametrize(
    ("name", "dataset", "domains", "classes"),
    [
        ("imagenet_r_domains", "imagenet_r", 15, 200),
        ("domainnet", "domainnet", 6, 345),
        ("office31", "office31", 3, 31),
        ("office_home", "office_home", 4, 65),
        ("image_clef", "image_clef", 4, 12),
    ],
)
def test_domain_incremental(compose, name, dataset, domains, classes):
    config = compose(f"scenario={name}")
    check_published_settings(config, 10)
    scenario = make_scenario(config)
    names = [experience.name for experience in scenario.train_stream]
    assert names == ORDERS["domain_order"][dataset] and len(names) == domains
    assert len(scenario.labels[0].class_names) == classes
    assert all(e.class_masks.all() and len(e.samples) for s in scenario.streams.values() for e in s)
    backwards = make_scenario(compose(f"scenario={name}", f"task_order={names[::-1]}"))
    assert [experience.name for experience in backwards.test_stream] == names[::-1]


EIGHT = {"cars": 35, "mnist": 5, "eurosat": 12, "svhn": 4, "resisc45": 15, "sun397": 14, "dtd": 75, "gtsrb": 11}


def test_eight_datasets(compose):
    config = compose("scenario=eight_datasets")
    check_published_settings(config, None)
    scenario = make_scenario(config)
    stream = list(scenario.train_stream)
    assert {experience.name: experience.epochs for experience in stream} == EIGHT
    assert [experience.name for experience in stream] == list(EIGHT)
    assert [len(labels.class_names) for labels in scenario.labels] == [196, 10, 10, 10, 45, 397, 47, 43]
    numbers = list(itertools.chain(*(experience.classes_in_this_experience for experience in stream)))
    assert numbers == list(range(196 + 10 + 10 + 10 + 45 + 397 + 47 + 43))


def test_some_of_the_eight_in_another_order(compose, tmp_path):
    WRITERS["mnist"](tmp_path)
    WRITERS["dtd"](tmp_path)
    config = compose("scenario=eight_datasets", "task_order=[dtd,mnist]", f"paths.data_dir={tmp_path}")
    scenario = make_scenario(config)
    assert [experience.name for experience in scenario.test_stream] == ["dtd", "mnist"]


ALPHABET = [
    *("aircraft", "caltech101", "cifar100", "dtd", "eurosat", "flowers102", "food101", "mnist", "oxford_iiit_pet"),
    *("cars", "sun397"),
]


FOURTEEN = [*EIGHT, "cifar100", "stl10", "flowers102", "oxford_iiit_pet", "pcam", "fer2013"]
TWENTY = [*FOURTEEN, "emnist", "cifar10", "food101", "fashion_mnist", "rendered_sst2", "kmnist"]


@pytest.mark.parametrize(("name", "datasets"), [("fourteen_datasets", FOURTEEN), ("twenty_datasets", TWENTY)])
def test_fourteen_and_twenty_datasets(compose, name, datasets):
    config = compose(f"scenario={name}")
    check_published_settings(config, None)
    assert list(config["scenario"]["datasets"]) == datasets
    there = [dataset for dataset in datasets if dataset != "pcam"]  # whose files want another library
    scenario = make_scenario(compose(f"scenario={name}", f"task_order=[{','.join(there)}]"))
    assert [experience.name for experience in scenario.train_stream] == there
    assert {task.name: task.epochs for task in scenario.train_stream if task.epochs} == EIGHT
    assert scenario.headline == "metrics.task_aware.average_accuracy"


def test_mtil(compose):
    config = compose("scenario=mtil")
    check_published_settings(config, None)
    scenario = make_scenario(config)
    assert [experience.name for experience in scenario.train_stream] == ALPHABET
    assert {experience.epochs for experience in scenario.train_stream} == {None}
    assert scenario.headline == "metrics.task_aware.average_accuracy" and not scenario.one_label_space


def test_x_tail_has_16_images_of_each_class_and_one_label_space(compose):
    scenario = make_scenario(compose("scenario=x_tail", "dataset.shots=1"))
    assert [experience.name for experience in scenario.train_stream] == [n for n in ALPHABET if n != "cifar100"]
    for experience in scenario.train_stream:
        assert len(experience.samples) == int(experience.class_masks.sum())
    assert scenario.headline == "metrics.task_agnostic.average_accuracy" and scenario.one_label_space
    assert compose("scenario=x_tail")["dataset"] == {"shots": 16, "shots_seed": 0}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_prepared_images_are_those_of_the_files(compose, name, tmp_path):
    kind = "domain_incremental" if name.startswith(("office", "image_clef", "domainnet")) else "data_incremental"
    tasks = ("scenario.tasks=1",) if kind == "data_incremental" else ()
    scenario = make_scenario(compose(f"scenario={kind}", f"dataset={name}", *tasks))
    samples = scenario.test_stream[0].samples
    before = [samples[i] for i in range(2)]
    scenario.prepare(8, tmp_path)
    after = [samples[i] for i in range(2)]
    for (image, label), (small, same) in zip(before, after, strict=True):
        assert label == same and (image.shape == small.shape or small.shape == (3, 8, 8))
        assert abs(float(image.mean()) - float(small.mean())) < 0.03
