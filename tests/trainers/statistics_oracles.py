"""What the tests of statistics share: a trained task, and its images as another pass reads them."""

from types import SimpleNamespace

import torch

from cl_bench.images import batches
from cl_bench.runtime import seeds
from tests.helpers.small import SmallEncoder, head
from tests.trainers import streams


def learned(trainer_class, statistic, settings=streams.SETTINGS):
    """The first task: the trainer, the encoder with its trained weights, the task and the statistic."""
    trainer, pretrained = streams.made(trainer_class, settings, keep=frozenset({statistic}))
    stream = SimpleNamespace(train_stream=trainer.experiences(streams.STREAM))
    weights, statistics = streams.learned(trainer, 0, pretrained, settings, stream)
    encoder = SmallEncoder().double()
    encoder.load_state_dict(weights)
    return trainer, encoder.eval(), stream.train_stream[0], statistics[statistic]


def passed(experience, settings=streams.SETTINGS, limit=None):
    """Images, labels and allowed classes of each batch, in training's crops."""
    samples, seed = experience.samples, seeds.derive(streams.SEED, 0, "training")
    order = batches.TrainingOrder(samples, settings.batch_size, seed, 0, limit=limit)
    for (images, labels), (positions, _, _) in zip(streams.images_of(samples, order), order, strict=True):
        yield images.double(), labels, experience.class_masks[samples.groups[positions]]


def log_shares(features, allowed):
    """The logarithms of an image's probabilities, among its allowed classes."""
    rows = head().double()[allowed]
    return torch.log_softmax(torch.nn.functional.normalize(features, dim=0) @ rows.T, dim=0)


def assert_same(one, other, rtol):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.device.type == "cpu" and not tensor.requires_grad
        largest = float(other[name].abs().max())
        torch.testing.assert_close(
            tensor, other[name], rtol=rtol, atol=rtol * largest, msg=lambda text, n=name: n + text
        )
