"""Avalanche's benchmarks as scenarios here, and scenarios as benchmarks for Avalanche's strategies."""

import copy
import itertools

import numpy as np
import pytest
import torch
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive, Replay
from torch import nn

from cl_bench.datasets import digits
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Avalanche, ClassIncremental, avalanche
from tests.helpers.releases import write_mnist
from tests.helpers.small import pixels_at


@pytest.fixture
def mnist(tmp_path):
    return write_mnist(tmp_path)


def _images(stream):
    return torch.cat([pixels_at(e.samples, torch.arange(len(e.samples))) for e in stream]).numpy()


def _sorted(images):
    return sorted(image.tobytes() for image in images)


def test_split_mnist_has_every_image_once_under_its_label(mnist, tmp_path):
    scenario = Avalanche("SplitMNIST", 5, tmp_path)
    scenario.prepare(32, tmp_path / "prepared")
    classes = [experience.classes_in_this_experience for experience in scenario.train_stream]
    assert sorted(itertools.chain(*classes)) == list(range(10)) and {len(c) for c in classes} == {2}
    for split, stream in (("train", scenario.train_stream), ("test", scenario.test_stream)):
        pixels, labels = mnist[split]
        known = {image.tobytes(): label for image, label in zip(pixels, labels, strict=True)}
        seen = [(image[..., 0].tobytes(), image.std(axis=-1).max()) for image in _images(stream)]
        assert sorted(image for image, _ in seen) == sorted(known) and {gray for _, gray in seen} == {0}
        given = torch.cat([experience.samples.labels for experience in stream]).tolist()
        assert given == [known[image] for image, _ in seen]
    assert scenario.labels[0].class_names[3] == "3 - three"
    assert [e.class_masks[0].nonzero().flatten().tolist() for e in scenario.test_stream] == classes


def test_the_seed_orders_the_classes(mnist, tmp_path):
    orders = [
        [e.classes_in_this_experience for e in Avalanche("SplitMNIST", 5, tmp_path, seed=seed).train_stream]
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_transforms_that_make_the_tasks_are_kept(mnist, tmp_path):
    options = {"rotations_list": [0, 180]}
    scenario = Avalanche("RotatedMNIST", 2, tmp_path, options=options, class_names=[f"digit {i}" for i in range(10)])
    scenario.prepare(32, tmp_path / "prepared")
    upright, rotated = (_images([experience])[..., 0] for experience in scenario.train_stream)
    pixels, _ = mnist["train"]
    assert _sorted(upright) == _sorted(pixels) and _sorted(rotated) == _sorted(pixels[:, ::-1, ::-1])
    assert all(experience.class_masks.all() for experience in scenario.train_stream)
    assert scenario.labels[0].class_names[3] == "digit 3"


def test_images_that_avalanche_gives_as_tensors_are_the_same_bytes(mnist, tmp_path):
    scenario = Avalanche("PermutedMNIST", 2, tmp_path)
    pixels, _ = mnist["train"]
    for experience in scenario.train_stream:
        ((source, rows, _),) = experience.samples.located(torch.arange(len(experience.samples)))
        seen = np.stack([source[row][..., 0] for row in rows]).reshape(len(pixels), -1)
        assert _sorted(np.sort(seen)) == _sorted(np.sort(pixels.reshape(len(pixels), -1)))


@pytest.mark.parametrize("at_once", [512, 7])  # in this process, in several
@pytest.mark.parametrize("split", ["train", "test"])
def test_one_bit_of_any_image_makes_another_identity(mnist, tmp_path, monkeypatch, split, at_once):
    monkeypatch.setattr(avalanche, "_PART", at_once)
    before = Avalanche("SplitMNIST", 5, tmp_path)
    assert Avalanche("SplitMNIST", 5, tmp_path).identity() == before.identity()
    path = tmp_path / f"MNIST/raw/{'t10k' if split == 'test' else 'train'}-images-idx3-ubyte"
    content = path.read_bytes()
    for place in (len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert Avalanche("SplitMNIST", 5, tmp_path).identity() != before.identity()


def test_no_image_is_left_out_where_many_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(avalanche, "_PART", 7)
    images = list(np.zeros((15, 2, 3, 3), np.uint8))
    seen = set()
    for row in range(15):
        changed = [*images[:row], images[row] + 1, *images[row + 1 :]]
        digests = avalanche._Digests(changed)
        seen.add(tuple(digests[part] for part in range(len(digests))))
    assert len(seen) == 15


def test_looking_at_all_images_leaves_the_random_numbers_alone(mnist, tmp_path):
    scenario = Avalanche("SplitMNIST", 5, tmp_path)
    state = torch.get_rng_state()
    avalanche._sha256(scenario.datasets[0].train.pixels)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_data_of_the_same_shape_is_prepared_anew(mnist, tmp_path):
    identities = []
    for seed in (1, 2):
        write_mnist(tmp_path / str(seed), seed=seed)
        scenario = Avalanche("SplitMNIST", 5, tmp_path / str(seed))
        scenario.prepare(32, tmp_path / "prepared")
        identities.append(scenario.identity())
    assert identities[0] != identities[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"benchmark": "SplitMnist", "tasks": 5}, "not a classic benchmark of Avalanche.*SplitMNIST"),
        ({"benchmark": "SplitMNIST", "tasks": 3}, "cannot make it.*divided"),
        ({"benchmark": "SplitMNIST", "tasks": 5, "options": {"nope": 1}}, "does not take nope"),
        ({"benchmark": "CLStream51", "tasks": 5}, "does not take n_experiences"),
    ],
)
def test_what_avalanche_cannot_make_is_said(mnist, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        Avalanche(**arguments, root=tmp_path)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, images):
        return self.layers(images)


@pytest.mark.parametrize("strategy", [Naive, Replay])
def test_an_avalanche_strategy_trains_on_a_scenario_unchanged(strategy):
    scenario, net = ClassIncremental(digits.load(), tasks=5), Net()
    plugin = EvaluationPlugin(accuracy_metrics(stream=True, experience=True), loggers=[])
    trainer = strategy(
        model=net,
        optimizer=torch.optim.Adam(net.parameters(), 1e-3),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=32,
        train_epochs=3,
        evaluator=plugin,
        **({"mem_size": 100} if strategy is Replay else {}),
    )
    accuracies = []
    for experience in scenario.train_stream[:2]:
        before = copy.deepcopy(net.state_dict())
        trainer.train(experience)
        assert any(not torch.equal(before[name], weight) for name, weight in net.state_dict().items())
        metrics = trainer.eval(scenario.test_stream[:2])
        accuracies.append([v for k, v in sorted(metrics.items()) if k.startswith("Top1_Acc_Exp/eval_phase/test")])
    assert accuracies[0][0] > 0.95 and accuracies[0][1] == 0 and accuracies[1][1] > 0.8
    if strategy is Replay:
        assert accuracies[1][0] > 0.5  # a naive learner forgets the first two digits
    else:
        assert accuracies[1][0] < 0.5
