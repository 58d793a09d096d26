"""The diagonal of the Fisher information against a loop over images and labels."""

import pytest
import torch

from cl_bench.backbones.linearized import Linearized
from cl_bench.trainers import Joint, Sequential, Tangent
from cl_bench.trainers.statistics.fisher_diagonal import fisher_diagonal
from tests.helpers.small import SmallEncoder
from tests.trainers import statistics_oracles as oracles


def _plain(encoder, experience, limit=None):
    parameters, images_seen = dict(encoder.named_parameters()), 0
    total = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for images, _, allowed in oracles.passed(experience, limit=limit):
        for image, own in zip(images, allowed, strict=True):
            images_seen += 1
            shares = oracles.log_shares(encoder(image[None])[0], own)
            for share in shares:
                gradients = torch.autograd.grad(share, parameters.values(), retain_graph=True)
                for name, gradient in zip(parameters, gradients, strict=True):
                    total[name] += share.detach().exp() * gradient.square()
    return {name: tensor / images_seen for name, tensor in total.items()}


@pytest.mark.parametrize("trainer", [Sequential, Joint])
def test_every_image_and_label_counts_by_its_probability(trainer):
    _, encoder, experience, fisher = oracles.learned(trainer, "fisher_diagonal")
    assert experience.class_masks.sum() == (6 if trainer is Joint else 2)
    oracles.assert_same(fisher, _plain(encoder, experience), rtol=1e-9)


def test_images_have_the_labels_of_their_group():
    trainer, encoder, experience, _ = oracles.learned(Joint, "fisher_diagonal")
    experience.class_masks = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 1]]).bool()
    labels, turns = experience.samples.labels, torch.arange(len(experience.samples)) % 2
    experience.samples.groups = torch.where(experience.class_masks[turns, labels], turns, 1 - turns)
    trainer.class_masks = experience.class_masks
    oracles.assert_same(fisher_diagonal(trainer), _plain(encoder, experience), rtol=1e-9)


def test_it_does_not_matter_how_many_images_are_done_at_once(monkeypatch):
    monkeypatch.setattr("cl_bench.trainers.statistics.fisher_diagonal._MOST_ELEMENTS", 1)
    _, encoder, experience, fisher = oracles.learned(Sequential, "fisher_diagonal")
    oracles.assert_same(fisher, _plain(encoder, experience), rtol=1e-9)


def test_of_a_long_task_as_many_batches_are_read_as_hold_enough_images(monkeypatch):
    monkeypatch.setattr("cl_bench.trainers.statistics.fisher_diagonal.IMAGES", 6)  # batches of 4
    _, encoder, experience, fisher = oracles.learned(Sequential, "fisher_diagonal")
    oracles.assert_same(fisher, _plain(encoder, experience, limit=2), rtol=1e-9)


def test_in_the_tangent_space_it_is_that_of_the_linearization():
    _, trained, experience, fisher = oracles.learned(Tangent, "fisher_diagonal")
    encoder = Linearized(SmallEncoder().double())
    encoder.load_state_dict(trained.state_dict())
    oracles.assert_same(fisher, _plain(encoder, experience), rtol=1e-9)
