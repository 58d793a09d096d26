"""L2-SP against a loop that adds the squared distance."""

from functools import partial

import pytest
import torch

from cl_bench.trainers import L2SP
from tests.helpers.small import SmallEncoder, optimization
from tests.trainers import streams

# As published. AdamW would blow up rounding errors: what has no gradient but the penalty's, as keys' biases, jumps
# about the anchor by steps of the learning rate.
SETTINGS = optimization(epochs=4, optimizer=partial(torch.optim.SGD, momentum=0.9))


def _plain(strength, moves):
    anchor = [p.detach() for p in SmallEncoder().double().parameters()]

    def loss(task, step, encoder, images, labels):
        total = streams.cross_entropy(encoder, images, labels, streams.classes_of(task))
        pairs = zip(encoder.parameters(), anchor, strict=True)
        return total + strength / 2 * sum(((p - a) ** 2).sum() for p, a in pairs)

    def after_task(task, encoder):
        if moves:
            anchor[:] = [p.detach().clone() for p in encoder.parameters()]

    return streams.plain_loop(loss, after_task, SETTINGS)


@pytest.mark.parametrize("anchor", ["pretrained", "previous"])
def test_a_stream_equals_the_plain_loop(anchor):
    trained = streams.trained(L2SP, SETTINGS, strength=2.0, anchor=anchor)
    streams.assert_same_streams(trained, _plain(2.0, anchor == "previous"))
    assert streams.distance(trained[-1], streams.without_help(SETTINGS)) > 1e-3
