import time

import numpy as np
import pytest

from cl_bench.datasets import glyphs
from cl_bench.testing import check_dataset

CLASSES = {
    "glyphs60": 60, "digits": 10, "capitals": 26, "small_letters": 26, "greek": 29, "symbols": 42,
    "games": 22,
}  # fmt: skip


def draw(*args, **kwargs):
    return glyphs.load.__wrapped__(*args, **kwargs)


@pytest.mark.parametrize("alphabet", CLASSES)
def test_every_alphabet_is_balanced(alphabet):
    data = glyphs.load(alphabet, train_per_class=4, test_per_class=2)
    count = CLASSES[alphabet]
    assert data.name == alphabet
    assert len(set(data.class_names)) == count
    assert data.train.pixels.shape == (4 * count, 32, 32, 3)
    assert np.bincount(data.train.labels).tolist() == [4] * count
    assert np.bincount(data.test.labels).tolist() == [2] * count


def test_the_default_is_fast_and_has_the_published_sizes():
    start = time.thread_time()  # not the wall clock, which the machine's other work moves
    data = draw()
    assert time.thread_time() - start < 3
    assert (len(data.train), len(data.test), len(data.class_names)) == (3000, 900, 60)


def test_seed_decides_every_byte():
    first, again, other = (draw("digits", 5, 5, seed=seed) for seed in (0, 0, 1))
    assert first.identity == again.identity
    check_dataset(lambda: draw("digits", 5, 5))
    assert not np.array_equal(first.train.pixels, other.train.pixels)
    assert not np.array_equal(first.test.pixels, other.test.pixels)


def test_train_and_test_share_no_image():
    data = glyphs.load("capitals", 14, 7)
    assert not {p.tobytes() for p in data.train.pixels} & {p.tobytes() for p in data.test.pixels}


def lean(pixels):
    """Mean tangent of the ink's lean to the right, from second moments: cov(x, height) / var(height)."""
    ink = pixels.astype(float).max(axis=-1)
    ink = np.where(ink > 100, ink, 0)
    rows, columns = np.mgrid[0:32, 0:32]
    total = ink.sum(axis=(1, 2))
    x = columns - ((ink * columns).sum(axis=(1, 2)) / total)[:, None, None]
    height = ((ink * rows).sum(axis=(1, 2)) / total)[:, None, None] - rows
    return ((ink * x * height).sum(axis=(1, 2)) / (ink * height**2).sum(axis=(1, 2))).mean()


def test_shear_leans_to_the_right_by_its_tangent():
    upright, sheared = (glyphs.load("capitals", 28, 1, shear=shear).train.pixels for shear in (0.0, 0.45))
    assert lean(sheared) - lean(upright) == pytest.approx(0.45, abs=0.1)
