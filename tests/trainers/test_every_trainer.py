"""What every trainer has to do, whatever it learns; trainers are found by themselves, see `table`."""

from types import SimpleNamespace

import pytest
import torch

from cl_bench.testing import check_trainer
from cl_bench.trainers import TRAINERS, Sequential
from cl_bench.trainers.statistics import STATISTICS
from tests.conftest import ROOT
from tests.trainers import streams
from tests.trainers.table import CASES


def test_each_file_of_trainers_has_a_choice_of_its_name():
    assert TRAINERS.keys() == {path.stem for path in (ROOT / "conf" / "trainer").glob("*.yaml")}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_keeps_what_every_trainer_promises(case):
    check_trainer(lambda given: case.trainer(given, **case.options))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_another_pass_tells_each_image_apart_within_its_data_set(case):
    trainer, weights = streams.made(case.trainer, stream=streams.DATASETS, **case.options)
    stream = SimpleNamespace(train_stream=trainer.experiences(streams.DATASETS))
    for task in range(len(stream.train_stream)):
        weights, _ = streams.learned(trainer, task, weights, stream=stream)
        for batch in trainer.another_pass("images"):
            its_own = torch.arange(6) // 2 == batch.labels[:, None] // 2  # two classes each
            assert torch.equal(trainer.class_masks[batch.groups].cpu(), its_own)


def test_asking_again_gives_the_same_bits_and_leaves_the_encoder_as_it_is():
    trainer, pretrained = streams.made(Sequential)
    streams.learned(trainer, 0, pretrained)
    before, mode = trainer.weights(), trainer.encoder.training
    for statistic in STATISTICS.values():
        once, again = statistic(trainer), statistic(trainer)
        assert all(torch.equal(once[name], again[name]) for name in once)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.weights().items())
    assert trainer.encoder.training == mode and all(p.requires_grad for p in trainer.encoder.parameters())
