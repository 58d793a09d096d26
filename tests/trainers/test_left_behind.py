"""What is left behind for mergers leaves training as it is."""

import pytest
import torch

from cl_bench.trainers import CMM, EWC, Independent, LwF, Replay, Sequential, Tangent
from cl_bench.trainers.statistics import STATISTICS
from tests.trainers import streams


@pytest.mark.parametrize("trainer", [Sequential, Independent, EWC, LwF, Replay, Tangent, CMM])
def test_the_trained_weights_are_the_same_bits_with_and_without(trainer):
    options = {"buffer_images": 9} if trainer is Replay else {}
    without = streams.trained(trainer, **options)
    left = streams.trained(trainer, keep=trainer.leaves, **options)
    assert len(without) == len(left) == 3
    for one, other in zip(without, left, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_asking_again_gives_the_same_bits_and_leaves_the_encoder_as_it_is():
    trainer, pretrained = streams.made(Sequential)
    streams.learned(trainer, 0, pretrained)
    before, mode = trainer.weights(), trainer.encoder.training
    for statistic in STATISTICS.values():
        once, again = statistic(trainer), statistic(trainer)
        assert all(torch.equal(once[name], again[name]) for name in once)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.weights().items())
    assert trainer.encoder.training == mode and all(p.requires_grad for p in trainer.encoder.parameters())
