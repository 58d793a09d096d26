"""A data set that breaks a promise is told which one."""

from dataclasses import replace

import numpy as np
import pytest

from cl_bench.images.images import Images
from cl_bench.testing import check_dataset
from tests.scenarios.conftest import make_dataset

GOOD = make_dataset(classes=3, per_class=4, domains=2)


def changed(split: str, **parts):
    return replace(GOOD, **{split: replace(getattr(GOOD, split), **parts)})


class Unsteady:
    identity = "unsteady"

    def __init__(self) -> None:
        self.random = np.random.default_rng()

    def __len__(self) -> int:
        return len(GOOD.test)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.random.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def in_any_order():
    order = np.random.default_rng().permutation(len(GOOD.test))
    part = Images(GOOD.test.pixels[order], GOOD.test.labels[order], GOOD.test.domains[order])
    return replace(GOOD, test=part)


BROKEN = {
    "returns a list": (lambda: [GOOD], "returns list, not an ImageDataset"),
    "names twice": (lambda: replace(GOOD, class_names=("a", "b", "a")), "Several classes are called 'a'"),
    "a class of no image": (lambda: replace(GOOD, class_names=(*GOOD.class_names, "d")), "no training image of .* 'd'"),
    "a domain of no image": (
        lambda: changed("test", domains=np.zeros_like(GOOD.test.domains)),
        "no test image of the domain 'domain 1'",
    ),
    "values up to 1": (lambda: changed("test", pixels=GOOD.test.pixels // 128), "test images .* multiply them by 255"),
    "floats": (lambda: changed("train", pixels=Floats()), r"training image 0 is float64 of shape \(8, 8\), not uint8"),
    "other pixels each time": (lambda: changed("test", pixels=Unsteady()), "test image 0 is another one"),
    "tested on training": (lambda: replace(GOOD, test=GOOD.train), "24 of 24 test images are training images"),
    "another order each time": (in_any_order, "Loaded again, the test images have other labels or another order"),
    "another seed each time": (lambda: changed("test", pixels=noise()), "Loaded again, the data set differs; .* seed"),
}


class Floats(Unsteady):
    def __getitem__(self, row: int) -> np.ndarray:
        return np.zeros((8, 8))


def noise():
    return np.random.default_rng().integers(0, 256, GOOD.test.pixels.shape, dtype=np.uint8)


def test_what_keeps_its_promises_passes():
    check_dataset(lambda: GOOD)


@pytest.mark.parametrize(("load", "message"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_one_is_told(load, message):
    with pytest.raises(AssertionError, match=message):
        check_dataset(load)
