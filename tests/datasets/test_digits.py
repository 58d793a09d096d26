import numpy as np
import pytest
from sklearn.datasets import load_digits

from cl_bench.datasets import digits
from cl_bench.runtime.errors import UserError
from cl_bench.testing import check_dataset

DATA = digits.load()


def originals(pixels):
    """Undoes border and enlargement, roughly: each 3 x 3 block's mean is close to the pixel it came from."""
    return pixels[:, 4:28, 4:28, 0].reshape(-1, 8, 3, 8, 3).astype(float).mean(axis=(2, 4)) * 16 / 255


def test_sizes_and_look():
    assert DATA.train.pixels.shape == (1347, 32, 32, 3)
    assert DATA.test.pixels.shape == (450, 32, 32, 3)
    pixels = DATA.train.pixels
    assert (pixels == pixels[..., :1]).all()
    border = np.ones((32, 32), bool)
    border[4:28, 4:28] = False
    assert (pixels[:, border] == 0).all()
    assert DATA.class_names == tuple(f"digit {i}" for i in range(10))


def test_every_image_is_in_exactly_one_split():
    source = load_digits()
    by_image = {}
    for image, label in zip(source.images, source.target, strict=True):
        by_image.setdefault(digits._enlarge(image).tobytes(), []).append(int(label))
    for split in (DATA.train, DATA.test):
        for pixels, label in zip(split.pixels, split.labels, strict=True):
            assert by_image[pixels.tobytes()].pop() == label
    assert not any(by_image.values())


def test_enlarged_images_resemble_the_originals():
    image = load_digits().images[0]
    assert np.abs(originals(digits._enlarge(image)[None])[0] - image).max() < 3


def test_split_is_stratified():
    shares = [np.bincount(split.labels, minlength=10) / len(split) for split in (DATA.train, DATA.test)]
    assert np.abs(shares[0] - shares[1]).max() < 0.002


def test_seed_decides_the_split():
    again, other = digits.load.__wrapped__(), digits.load(seed=1)
    assert again.identity == DATA.identity
    check_dataset(digits.load.__wrapped__)
    assert other.identity != DATA.identity


def test_a_part_of_the_images():
    part = digits.load(train=400, test=200)
    assert (len(part.train), len(part.test)) == (400, 200)
    assert np.bincount(part.train.labels).min() >= 38
    assert not {p.tobytes() for p in part.train.pixels} & {p.tobytes() for p in part.test.pixels}


def test_more_images_than_there_are():
    with pytest.raises(ValueError, match="1797"):
        digits.load(train=1400, test=450)


@pytest.mark.parametrize("sizes", [{"train": 9}, {"test": 0}, {"train": 1500, "test": 298}, {"train": -1}])
def test_numbers_of_images_that_cannot_be_had_are_refused(sizes):
    with pytest.raises(UserError, match=r"^digits: dataset\.train=.* at most 1797"):
        digits.load(**sizes)
