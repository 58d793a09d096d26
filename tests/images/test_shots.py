"""A few training images of each class: how many, which, and that nothing else changes."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.shots import draw, short_classes
from tests.scenarios.conftest import make_dataset

labels_and_domains = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=60)


def of_labels(pairs, with_domains=False):
    labels, domains = np.array(pairs, dtype=np.int64).T
    pixels = np.zeros((len(labels), 1, 1, 3), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(len(labels))  # tells the images apart
    train = Images(pixels, labels, domains.copy() if with_domains else None)
    names = tuple("abcde")
    return ImageDataset("made_up", names, ("a {}",), train, train, tuple("xyz") if with_domains else ())


def rows(dataset):
    return dataset.train.pixels[:, 0, 0, 0].tolist()


@given(pairs=labels_and_domains, shots=st.integers(1, 9), seed=st.integers(0, 3), with_domains=st.booleans())
def test_so_many_of_each_class_are_drawn_and_all_where_there_are_fewer(pairs, shots, seed, with_domains):
    data = of_labels(pairs, with_domains)
    few = draw(data, shots, seed)
    there = np.bincount(data.train.labels, minlength=5)
    assert np.bincount(few.train.labels, minlength=5).tolist() == np.minimum(there, shots).tolist()
    assert rows(few) == sorted(set(rows(few)))
    assert (few.train.labels == data.train.labels[rows(few)]).all()
    if with_domains:
        assert (few.train.domains == data.train.domains[rows(few)]).all()
    assert few.test is data.test and few.shots == (shots, seed, len(pairs))
    assert short_classes(few) == [name for name, count in zip("abcde", there, strict=True) if count < shots]


@given(pairs=labels_and_domains, seed=st.integers(0, 3), with_domains=st.booleans())
def test_a_larger_draw_contains_a_smaller_one(pairs, seed, with_domains):
    data = of_labels(pairs, with_domains)
    drawn = [set(rows(draw(data, shots, seed))) for shots in range(1, 8)]
    assert all(fewer <= more for fewer, more in itertools.pairwise(drawn))


@given(pairs=labels_and_domains, shots=st.integers(1, 9))
def test_domains_of_a_class_take_turns(pairs, shots):
    data = of_labels(pairs, with_domains=True)
    few = draw(data, shots, 0)
    for label in range(5):
        there, drawn = (
            np.bincount(images.domains[images.labels == label], minlength=3) for images in (data.train, few.train)
        )
        most = drawn.max()
        assert (drawn >= np.minimum(there, most - 1)).all()  # whoever gives less has no more to give


def test_another_seed_draws_other_images_and_the_same_seed_the_same():
    data = make_dataset(5, per_class=40)
    one, same, other = (draw(data, 8, seed) for seed in (0, 0, 1))
    assert one.identity == same.identity != other.identity and one.identity != data.identity


def test_files_are_selected_and_not_opened(tmp_path):
    names = [f"{i}.png" for i in range(6)]
    train = Images(ImageFiles(tmp_path, names, ""), np.array([0, 0, 0, 1, 1, 1]))
    data = dataclasses.replace(make_dataset(2), train=train)
    few = draw(data, 2, 0)
    assert isinstance(few.train.pixels, ImageFiles) and len(few.train.pixels.names) == 4
    assert [int(name[0]) >= 3 for name in few.train.pixels.names] == few.train.labels.astype(bool).tolist()


class _Reader:
    """A sequence of images such as a user's own class is."""

    def __init__(self, content):
        self.identity = content

    def __len__(self):
        return 6

    def __getitem__(self, row):
        return np.full((row + 1, 2, 3), row, dtype=np.uint8)


def test_images_of_any_reader_are_selected():
    labels = np.array([0, 0, 0, 1, 1, 1])
    data = dataclasses.replace(make_dataset(2), train=Images(_Reader("a"), labels))
    few = draw(data, 2, 0).train
    found = [few.pixels[i].shape[0] - 1 for i in range(4)]
    assert len(few.pixels) == 4 and (labels[found] == few.labels).all() and len(set(found)) == 4
    others = [dataclasses.replace(data, train=Images(_Reader("b"), labels)), data]
    assert few.pixels.identity != draw(others[0], 2, 0).train.pixels.identity
    assert few.pixels.identity != draw(others[1], 1, 0).train.pixels.identity
    assert few.pixels.identity == draw(data, 2, 0).train.pixels.identity


@pytest.mark.parametrize("domains", [0, 3])
def test_a_draw_of_everything_is_the_data_set(domains):
    data = make_dataset(4, per_class=5, domains=domains)
    assert draw(data, 15, 7).identity == data.identity
