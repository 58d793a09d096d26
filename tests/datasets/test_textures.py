import numpy as np

from cl_bench.datasets import textures
from cl_bench.testing import check_dataset


def test_ten_balanced_classes():
    data = textures.load()
    assert len(data.class_names) == 10
    assert np.bincount(data.train.labels).tolist() == [40] * 10
    assert np.bincount(data.test.labels).tolist() == [20] * 10


def test_seed_decides_every_byte():
    first, again, other = (textures.load.__wrapped__(4, 4, seed=seed) for seed in (0, 0, 1))
    assert first.identity == again.identity
    check_dataset(lambda: textures.load.__wrapped__(4, 4))
    assert not np.array_equal(first.train.pixels, other.train.pixels)


def test_train_and_test_are_different_draws():
    """Even the shapes under distortion and ink: the same texture is drawn with another period and phase."""
    data = textures.load.__wrapped__(4, 4)
    ink = [split.pixels.max(axis=-1) > 100 for split in (data.train, data.test)]
    same = (ink[0][:, None] == ink[1][None, :]).mean(axis=(2, 3))
    assert same.max() < 0.95
