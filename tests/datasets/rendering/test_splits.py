import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.datasets.rendering.drawing import Distortion
from cl_bench.datasets.rendering.splits import _equal_shares, draw_split


@given(choices=st.integers(1, 20), count=st.integers(1, 60), seed=st.integers(0, 9))
def test_shapes_are_used_equally_often_up_to_one(choices, count, seed):
    drawn = _equal_shares(choices, count, torch.Generator().manual_seed(seed))
    counts = np.bincount(drawn, minlength=choices)
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1


def test_images_carry_the_label_of_their_shapes():
    empty, full = torch.zeros(3, 48, 48), torch.ones(2, 48, 48)
    images = draw_split([empty, full], 5, Distortion(), torch.Generator().manual_seed(0))
    assert images.labels.tolist() == [0] * 5 + [1] * 5
    brightest = images.pixels[:, 16, 16].max(axis=1)
    assert (brightest[:5] < 100).all()
    assert (brightest[5:] > 100).all()
