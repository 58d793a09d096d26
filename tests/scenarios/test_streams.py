"""Every kind of scenario: what arrives, once, in which order, under which class numbers."""

import hashlib
import itertools

import numpy as np
import pytest
import torch
import yaml
from avalanche.benchmarks import CLScenario
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import ClassIncremental, DataIncremental, DomainIncremental, SeveralDatasets
from cl_bench.scenarios.order import PUBLISHED
from tests.helpers.small import pixels_at
from tests.scenarios.conftest import make_dataset


def _pixels(samples):
    return [np.array(samples[i][0]).tobytes() for i in range(len(samples))]


@given(classes=st.integers(1, 40), tasks=st.integers(1, 40), seed=st.integers(0, 5))
def test_class_incremental_chunks(classes, tasks, seed):
    data = make_dataset(classes, per_class=1)
    if tasks > classes:
        with pytest.raises(UserError, match=r"scenario\.tasks"):
            ClassIncremental(data, tasks)
        return
    scenario = ClassIncremental(data, tasks, class_order=seed)
    arrived = [experience.class_masks[0].nonzero().flatten().tolist() for experience in scenario.train_stream]
    assert sorted(itertools.chain(*arrived)) == list(range(classes))
    assert [len(chunk) for chunk in arrived] == [
        classes * (i + 1) // tasks - classes * i // tasks for i in range(tasks)
    ]
    order = np.random.default_rng(seed).permutation(classes).tolist()
    assert [sorted(order[classes * i // tasks : classes * (i + 1) // tasks]) for i in range(tasks)] == arrived


def test_cars_in_ten_tasks_has_19_20_19_classes():
    scenario = ClassIncremental(make_dataset(196, 1), 10)
    assert [len(e.classes_in_this_experience) for e in scenario.train_stream][:4] == [19, 20, 19, 20]


@pytest.mark.parametrize(
    ("scenario", "images"),
    [
        (ClassIncremental(make_dataset(), 3, class_order=1), 42),
        (ClassIncremental(make_dataset(), 3, validation_share=0.34), 42),
        (DomainIncremental(make_dataset(domains=4), domain_order=[2, 0, 1, 3], validation_share=0.2), 168),
        (SeveralDatasets({"a": make_dataset(3, seed=1), "b": make_dataset(4, name="b", seed=2)}), 42),
        (DataIncremental(make_dataset(), 5), 42),
        (DataIncremental(make_dataset(), 4, validation_share=0.34), 42),
    ],
    ids=["classes", "classes-validation", "domains-validation", "datasets", "data", "data-validation"],
)
def test_every_image_arrives_once_under_its_label(scenario, images):
    assert isinstance(scenario, CLScenario)
    streams = scenario.streams
    train = [e for name in ("train", "validation") if name in streams for e in streams[name]]
    for experiences in (train, list(streams["test"])):
        seen = [image for experience in experiences for image in _pixels(experience.samples)]
        assert len(seen) == len(set(seen)) == images
    for experience in train:
        assert experience.class_masks[0][experience.samples.labels].all()


def test_an_avalanche_loop_sees_images_labels_and_task_labels(dataset):
    experience = ClassIncremental(dataset, 2).train_stream[1]
    image, label, task = experience.dataset[0]
    assert image.shape == (3, 8, 8) and image.min() >= 0 and image.max() <= 1 and task == 0
    assert label == experience.dataset.targets[0] == int(experience.samples.labels[0])
    assert experience.current_experience == 1 and experience.origin_stream.name == "train"


def test_domains_keep_all_classes_and_arrive_in_order():
    data = make_dataset(domains=3)
    scenario = DomainIncremental(data, domain_order=["domain 2", "domain 0", "domain 1"])
    assert [experience.name for experience in scenario.test_stream] == ["domain 2", "domain 0", "domain 1"]
    assert all(experience.class_masks.all() for experience in scenario.train_stream)
    first = scenario.test_stream[0].samples
    expected = data.test.pixels[data.test.domains == 2]
    assert torch.equal(pixels_at(first, torch.arange(len(first))), torch.from_numpy(expected))


def test_several_datasets_count_classes_through():
    scenario = SeveralDatasets({"a": make_dataset(3), "b": make_dataset(4, name="b")}, dataset_order=["b", "a"])
    first, second = scenario.train_stream
    assert first.classes_in_this_experience == [0, 1, 2, 3]
    assert second.classes_in_this_experience == [4, 5, 6]
    assert [len(labels.class_names) for labels in scenario.labels] == [4, 3]
    joint = scenario.joint()
    assert joint.class_masks.shape == (2, 7)
    assert joint.class_masks[joint.samples.groups, joint.samples.labels].all()
    assert joint.class_masks.sum(dim=1).tolist() == [4, 3]


def test_a_list_of_data_sets_may_leave_some_out_and_they_are_not_read():
    def unread():
        raise AssertionError("not in the order")

    data = {"a": unread, "b": lambda: make_dataset(4, name="b"), "c": make_dataset(3, name="c")}
    scenario = SeveralDatasets(data, dataset_order=["c", "b"], epochs={"a": 9, "b": 7, "c": 2})
    assert [experience.name for experience in scenario.train_stream] == ["c", "b"]
    assert [experience.epochs for experience in scenario.train_stream] == [2, 7]
    assert [labels.class_names[0] for labels in scenario.labels] == ["class 0", "class 0"]
    with pytest.raises(UserError, match="at most once; it names something twice"):
        SeveralDatasets(data, dataset_order=["c", "c"])
    with pytest.raises(UserError, match="it is empty"):
        SeveralDatasets(data, dataset_order=[])
    with pytest.raises(UserError, match=r"scenario\.epochs names 'd'"):
        SeveralDatasets(data, epochs={"d": 2})


def test_epochs_of_the_tasks_are_part_of_the_identity():
    data = {"a": make_dataset(3)}
    identities = [SeveralDatasets(data, epochs=epochs).identity() for epochs in (None, {"a": 2}, {"a": 3})]
    assert identities[0] != identities[1] != identities[2]


@given(classes=st.integers(1, 8), per_class=st.integers(1, 9), tasks=st.integers(1, 12), seed=st.integers(0, 3))
def test_data_incremental_shares_are_balanced(classes, per_class, tasks, seed):
    data = make_dataset(classes, per_class)
    if tasks > classes * per_class:
        with pytest.raises(UserError, match=r"scenario\.tasks"):
            DataIncremental(data, tasks)
        return
    scenario = DataIncremental(data, tasks, deal_seed=seed)
    for stream in (scenario.train_stream, scenario.test_stream):
        counts = torch.stack([torch.bincount(e.samples.labels, minlength=classes) for e in stream])
        assert counts.sum(dim=1).max() - counts.sum(dim=1).min() <= 1
        assert (counts.max(dim=0).values - counts.min(dim=0).values).max() <= 1
        assert all(experience.class_masks.all() for experience in stream)


def test_data_sets_of_one_name_are_told_apart():
    firsts = [make_dataset(3, seed=seed) for seed in (1, 1, 2)]
    identities = [SeveralDatasets({"a": first, "b": make_dataset(3, seed=9)}).identity() for first in firsts]
    assert identities[0] == identities[1] != identities[2]


def test_another_seed_deals_other_shares():
    shares = [DataIncremental(make_dataset(), 3, deal_seed=seed).train_stream[0].samples.rows for seed in (0, 0, 1)]
    assert (shares[0] == shares[1]).all() and (shares[0] != shares[2]).any()


def test_joint_training_tells_all_classes_apart(dataset):
    joint = ClassIncremental(dataset, 3).joint()
    assert joint.class_masks.tolist() == [[True] * 7]
    separate = [image for e in ClassIncremental(dataset, 3).train_stream for image in _pixels(e.samples)]
    assert sorted(_pixels(joint.samples)) == sorted(separate)


def test_the_validation_share_is_taken_class_by_class_from_training(dataset):
    scenario = ClassIncremental(dataset, 1, validation_share=0.5)
    held = scenario.validation_stream[0].samples
    assert torch.bincount(held.labels).tolist() == [3] * 7
    again = ClassIncremental(dataset, 1, validation_share=0.5).validation_stream[0].samples
    assert (held.rows == again.rows).all()


def test_identity_changes_with_what_training_sees_and_with_nothing_else(dataset):
    identity = ClassIncremental(dataset, 3).identity()
    assert identity == ClassIncremental(make_dataset(), 3).identity()
    others = [
        ClassIncremental(dataset, 2),
        ClassIncremental(dataset, 3, class_order=1),
        ClassIncremental(dataset, 3, validation_share=0.2),
        ClassIncremental(make_dataset(seed=1), 3),
    ]
    assert all(other.identity() != identity for other in others)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 2, 3, 4, 5], "leaves out 6"),
        ([0, 1, 2, 3, 4, 5, 6, 6], "twice"),
        ([0, 1, 2, 3, 4, 5, 7], "names 7"),
        (["class 1", "horse"], "names 'horse'"),
        ("published", "no order for made_up"),
        ("no/such/file.yaml", "no/such/file.yaml"),
    ],
)
def test_orders_that_are_none_are_refused(dataset, order, message):
    with pytest.raises(UserError, match=message):
        ClassIncremental(dataset, 2, class_order=order)


def test_an_order_from_a_file(dataset, tmp_path):
    (tmp_path / "order.json").write_text("[6, 5, 4, 3, 2, 1, 0]")
    scenario = ClassIncremental(dataset, 7, class_order=str(tmp_path / "order.json"))
    assert [e.classes_in_this_experience for e in scenario.test_stream] == [[6 - i] for i in range(7)]


@pytest.mark.parametrize(
    ("name", "classes", "sha256"),
    [
        ("cifar100", 100, "ca1621464ae427d6"),
        ("imagenet_r", 200, "9b976498dea52e4d"),
        ("cub200", 200, "9b976498dea52e4d"),
        ("domainnet", 345, "bd84b76b2d797672"),
        ("cars", 196, hashlib.sha256(",".join(map(str, range(196))).encode()).hexdigest()),
    ],
)
def test_published_class_orders(name, classes, sha256):
    listed = yaml.safe_load(PUBLISHED.read_text())["class_order"][name]
    assert sorted(listed) == list(range(classes))
    assert hashlib.sha256(",".join(map(str, listed)).encode()).hexdigest().startswith(sha256)
