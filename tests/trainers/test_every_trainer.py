"""What every trainer has to do, whatever it learns; trainers are found by themselves, see `table`."""

import pytest
import torch

from cl_bench.trainers import Sequential
from cl_bench.trainers.statistics import STATISTICS
from tests.trainers import streams
from tests.trainers.table import ONE_EACH, SEVERAL_TASKS

LEAVING = {name: case for name, case in ONE_EACH.items() if case.trainer.leaves and name in SEVERAL_TASKS}


@pytest.mark.parametrize("case", SEVERAL_TASKS.values(), ids=SEVERAL_TASKS)
def test_a_run_goes_on_from_stored_tasks(case):
    streams.assert_goes_on_from_stored_tasks(case.trainer, **case.options)


@pytest.mark.parametrize("case", SEVERAL_TASKS.values(), ids=SEVERAL_TASKS)
def test_a_run_goes_on_within_a_task(case):
    streams.assert_goes_on_within_a_task(case.trainer, **case.options)


@pytest.mark.parametrize("case", LEAVING.values(), ids=LEAVING)
def test_the_trained_weights_are_the_same_bits_with_and_without_statistics_for_mergers(case):
    without = streams.trained(case.trainer, **case.options)
    left = streams.trained(case.trainer, keep=case.trainer.leaves, **case.options)
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
