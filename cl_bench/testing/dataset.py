"""What every data set owes, whoever wrote it: this project's own data sets pass the same checks."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cl_bench.images.images import ImageDataset, Images

_LOOKED_AT = 20  # images of each split, of those in files


def check_dataset(load: Callable[[], ImageDataset]) -> None:
    """Checks that a data set keeps what every data set promises.

    `ImageDataset` itself checks shapes, types and the range of labels. Beyond that,

    - every class and every domain has a name of its own, and images in both splits;
    - images are (H, W, 3) RGB of 8 bits, with values up to 255 and not up to 1;
    - the test images are not training images;
    - loading it twice gives the same images, labels and words.

    Of images in files, twenty of each split are decoded.

    Args:
        load: Loads the data set with the settings to check, such as ``lambda: my_data.load(root)``. It is called
            twice; where your function remembers what it returned (`functools.cache`), pass ``load.__wrapped__``.

    Raises:
        AssertionError: The data set breaks a promise. Says which one and what to do.
    """
    dataset = load()
    assert isinstance(dataset, ImageDataset), f"The function returns {type(dataset).__name__}, not an ImageDataset"
    for kind, names in (("classes", dataset.class_names), ("domains", dataset.domain_names)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        assert not twice, f"Several {kind} are called {twice[0]!r}; the words are all that tells them apart"
    for split, images in (("training", dataset.train), ("test", dataset.test)):
        _check_every_name_is_used(split, "class", dataset.class_names, images.labels)
        if images.domains is not None:
            _check_every_name_is_used(split, "domain", dataset.domain_names, images.domains)
        _check_pixels(split, images)
    _check_splits(dataset)
    _check_again(dataset, load())


def _check_every_name_is_used(split: str, kind: str, names: Sequence[str], labels: NDArray[np.int64]) -> None:
    without = [name for name, count in zip(names, np.bincount(labels, minlength=len(names)), strict=True) if not count]
    more = f", and of {len(without) - 1} more" if len(without) > 1 else ""
    assert not without, f"There is no {split} image of the {kind} {without[0]!r}{more}; leave what has none out"


def _check_pixels(split: str, images: Images) -> None:
    brightest = 0
    for row in np.linspace(0, len(images) - 1, _LOOKED_AT, dtype=int).tolist():
        image = images.pixels[row]
        assert isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, (
            f"The {split} image {row} is {getattr(image, 'dtype', type(image).__name__)} of shape "
            f"{getattr(image, 'shape', ())}, not uint8 of shape (H, W, 3)"
        )
        assert np.array_equal(image, images.pixels[row]), f"The {split} image {row} is another one the second time"
        brightest = max(brightest, int(image.max(initial=0)))
    assert brightest > 1, f"The {split} images have no value above {brightest}; multiply them by 255 before the cast"


def _check_splits(dataset: ImageDataset) -> None:
    if not isinstance(dataset.train.pixels, np.ndarray) or not isinstance(dataset.test.pixels, np.ndarray):
        return
    trained_on = {image.tobytes() for image in dataset.train.pixels}
    known = sum(image.tobytes() in trained_on for image in dataset.test.pixels)
    assert known <= len(dataset.test) / 2, (
        f"{known} of {len(dataset.test)} test images are training images; split before the images are loaded"
    )


def _check_again(dataset: ImageDataset, again: ImageDataset) -> None:
    for split, images, others in (("training", dataset.train, again.train), ("test", dataset.test, again.test)):
        assert np.array_equal(images.labels, others.labels), (
            f"Loaded again, the {split} images have other labels or another order; sort what you list, and seed what "
            "you draw"
        )
    assert dataset.identity == again.identity, (
        "Loaded again, the data set differs; sort what you list, and seed what you draw, or stored results are never "
        "found again"
    )
