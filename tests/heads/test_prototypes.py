"""Class means against a loop in double precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.heads.prototypes import class_means

CLASSES, WIDTH = 4, 5


def _batches(seed, sizes):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, WIDTH, generator=generator), torch.randint(CLASSES - 1, (size,), generator=generator))
        for size in sizes
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_row_is_the_normalized_mean_of_normalized_features_times_100(seed, sizes):
    batches = _batches(seed, sizes)
    rows = class_means(batches, CLASSES, WIDTH)
    for label in range(CLASSES):
        own = [feature.double() for features, labels in batches for feature in features[labels == label]]
        if not own:
            assert not rows[label].any()
            continue
        mean = sum(feature / feature.norm() for feature in own) / len(own)
        assert rows[label].tolist() == pytest.approx((100 * mean / mean.norm()).tolist(), rel=1e-5, abs=1e-4)
    assert rows.dtype == torch.float32


def test_neither_batches_nor_their_order_matter_in_single_precision():
    features, labels = torch.randn(50, WIDTH), torch.arange(50) % CLASSES
    one = class_means([(features, labels)], CLASSES, WIDTH)
    turned = [(features[i : i + 7], labels[i : i + 7]) for i in reversed(range(0, 50, 7))]
    assert torch.equal(class_means(turned, CLASSES, WIDTH), one)
