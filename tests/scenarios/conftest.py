import numpy as np
import pytest

from cl_bench.images.images import ImageDataset, Images


def make_dataset(classes=7, per_class=6, domains=0, name="made_up", seed=0):
    """Random 8 × 8 images, the same number of every class (and domain) in both splits."""
    random = np.random.default_rng(seed)

    def images():
        labels = np.tile(np.repeat(np.arange(classes), per_class), max(1, domains)).astype(np.int64)
        pixels = random.integers(0, 256, (len(labels), 8, 8, 3), dtype=np.uint8)
        where = np.repeat(np.arange(domains), classes * per_class).astype(np.int64) if domains else None
        return Images(pixels, labels, where)

    names = tuple(f"class {i}" for i in range(classes))
    return ImageDataset(name, names, ("a {}",), images(), images(), tuple(f"domain {i}" for i in range(domains)))


@pytest.fixture
def dataset():
    return make_dataset()
