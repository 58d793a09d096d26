from dataclasses import replace

import numpy as np
import pytest

from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import UserError


def images(count=6, classes=3, domains=None):
    pixels = np.arange(count * 4 * 5 * 3, dtype=np.uint8).reshape(count, 4, 5, 3)
    labels = np.arange(count, dtype=np.int64) % classes
    return Images(pixels, labels, None if domains is None else np.arange(count, dtype=np.int64) % domains)


def dataset(**changes):
    return replace(ImageDataset("toy", ("a", "b", "c"), ("a photo of {}.",), images(), images(count=3)), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": np.zeros((6, 4, 5, 3), np.float32)}, "uint8"),
        ({"pixels": np.zeros((6, 3, 4, 5), np.uint8)}, r"\(N, H, W, 3\)"),
        ({"pixels": np.zeros((6, 4, 5), np.uint8)}, r"\(N, H, W, 3\)"),
        ({"labels": np.zeros(5, np.int64)}, "labels"),
        ({"labels": np.zeros(6, np.int32)}, "labels"),
        ({"labels": np.array([0, 1, -1, 0, 1, 2])}, "negative"),
        ({"domains": np.zeros(7, np.int64)}, "domains"),
        ({"domains": np.full(6, -1)}, "domains"),
    ],
)
def test_images_refuse_wrong_arrays(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(images(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("a", "b")}, "train labels reach 2, .* from 0"),
        ({"train": images(classes=2), "test": images(count=3), "class_names": ("a", "b")}, "test labels"),
        ({"prompts": ()}, "prompts"),
        ({"prompts": "a photo of a {}."}, r"prompts are a tuple of texts, not one text: \('a photo of a \{\}\.',\)"),
        ({"prompts": ("a photo of {}.", "a photo.")}, "prompts"),
        ({"domain_names": ("x",)}, "belong together"),
        ({"train": images(domains=2)}, "belong together"),
        (
            {"train": images(domains=2), "test": images(domains=3), "domain_names": ("x", "y")},
            "test domains reach 2",
        ),
    ],
)
def test_data_set_refuses_what_does_not_fit_together(changes, message):
    with pytest.raises(ValueError, match=message):
        dataset(**changes)


def test_length():
    assert len(images(count=6)) == 6


def changed(array):
    other = array.copy()
    other.flat[-1] ^= 1
    return other


def test_identity_is_of_the_content():
    assert dataset().identity == dataset().identity


def with_domains(**changes):
    return dataset(train=images(domains=2), test=images(count=3, domains=2), domain_names=("x", "y"), **changes)


@pytest.mark.parametrize(
    "other",
    [
        dataset(class_names=("a", "b", "d")),
        dataset(prompts=("an image of {}.",)),
        dataset(train=replace(images(), pixels=changed(images().pixels))),
        dataset(train=replace(images(), pixels=images().pixels.reshape(6, 5, 4, 3))),
        dataset(train=replace(images(), labels=changed(images().labels) % 3)),
        dataset(test=replace(images(3), pixels=changed(images(3).pixels))),
        with_domains(),
    ],
)
def test_identity_changes_with_everything_that_is_learned_from(other):
    assert other.identity != dataset().identity


def test_what_a_data_set_is_called_is_none_of_its_content():
    assert dataset(name="other").identity == dataset().identity


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "caf\udce9"])
def test_names_that_cannot_be_printed_are_refused(name):
    with pytest.raises(UserError, match=r"^dataset\.name='.*' has characters that cannot be printed"):
        dataset(name=name)


def test_the_images_alone_have_an_identity_whatever_they_were_prepared_for():
    one, spoken = dataset(), dataset(prompts=("an image of {}.",), class_names=("x", "y", "z"))
    assert one.images_identity == spoken.images_identity != one.identity
    assert one.images_identity != dataset(test=replace(images(3), pixels=changed(images(3).pixels))).images_identity
    assert one.images_identity != dataset(test=replace(images(3), labels=changed(images(3).labels) % 3)).images_identity
    small, large = (replace(images(), pixels=np.full((6, side, side, 3), 7, np.uint8), origin="f") for side in (4, 8))
    assert dataset(train=small).images_identity == dataset(train=large).images_identity
    assert dataset(train=small).identity != dataset(train=large).identity


def test_identity_sees_domains():
    one, two = with_domains(), with_domains()
    moved = replace(two, test=replace(two.test, domains=1 - two.test.domains))
    assert one.identity == two.identity != moved.identity


def test_identity_reads_arrays_that_are_not_contiguous():
    whole = images()
    strided = replace(whole, pixels=np.repeat(whole.pixels, 2, axis=0)[::2])
    assert dataset(train=strided).identity == dataset().identity
