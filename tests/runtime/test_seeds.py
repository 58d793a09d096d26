import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.runtime.seeds import derive, generator, reseed

PLACES = st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from(["order", "crops", "training"]))


@given(one=PLACES, other=PLACES)
def test_every_place_has_a_seed_of_its_own(one, other):
    assert (derive(*one) == derive(*other)) == (one == other)
    assert 0 <= derive(*one) < 2**63


def test_all_sources_of_randomness_start_again():
    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    reseed(5, 1, "training")
    first = draw()
    draw()
    reseed(5, 1, "training")
    assert draw() == first
    reseed(5, 2, "training")
    assert draw() != first


def test_generators_do_not_touch_the_global_state():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    torch.rand(5, generator=generator(1, "x"))
    assert torch.equal(torch.rand(2), expected)
