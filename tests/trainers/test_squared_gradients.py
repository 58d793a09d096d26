"""Squared gradients of batches against a plain loop."""

import pytest
import torch

from cl_bench.backbones.linearized import Linearized
from cl_bench.trainers import Joint, Sequential, Tangent
from tests.helpers.small import SmallEncoder, optimization
from tests.trainers import statistics_oracles as oracles

SETTINGS = optimization(epochs=4, batch_size=3, label_smoothing=0.1)  # the last batch is smaller, and counts as much


def _plain(encoder, experience):
    squares = []
    for images, labels, allowed in oracles.passed(experience, SETTINGS):
        encoder.zero_grad()
        terms = [
            oracles.log_shares(encoder(image[None])[0], own)[own[:label].sum()]
            for image, label, own in zip(images, labels.tolist(), allowed, strict=True)
        ]
        (-torch.stack(terms).mean()).backward()
        squares.append({name: parameter.grad.square() for name, parameter in encoder.named_parameters()})
    return {name: sum(one[name] for one in squares) / len(squares) for name in squares[0]}


@pytest.mark.parametrize("trainer", [Sequential, Joint])
def test_every_batch_counts_the_same(trainer):
    _, encoder, experience, squares = oracles.learned(trainer, "squared_gradients", SETTINGS)
    oracles.assert_same(squares, _plain(encoder, experience), rtol=1e-9)


def test_in_the_tangent_space_they_are_those_of_the_linearization():
    _, trained, experience, squares = oracles.learned(Tangent, "squared_gradients", SETTINGS)
    encoder = Linearized(SmallEncoder().double())
    encoder.load_state_dict(trained.state_dict())
    oracles.assert_same(squares, _plain(encoder, experience), rtol=1e-9)
