"""A GPU counts what a loop over images and tasks on the CPU counts."""

import pytest
import torch

from cl_bench.evaluation import Evaluator
from cl_bench.runtime.devices import Devices
from tests.evaluation.test_evaluator import naive
from tests.helpers.small import TRANSFORM, SmallEncoder, head, scenario

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_counts_are_those_of_the_loop(batch_size):
    stream, encoder, devices = scenario(tasks=3), SmallEncoder(seed=4), Devices(accelerator="gpu")
    samples, masks = stream.evaluated("test")
    evaluator = Evaluator(
        SmallEncoder(seed=9), head(), TRANSFORM, samples, masks, batch_size, 0, devices.device, devices.autocast
    )
    counts, expected = evaluator(encoder.state_dict()), naive(stream, encoder)
    assert counts.agnostic_correct.tolist() == [row[0] for row in expected]
    assert counts.aware_correct.tolist() == [row[1] for row in expected]
    assert counts.total.tolist() == [row[2] for row in expected]
