"""Streams of images in files are identified by what is in the files when the stream is made."""

import os

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import folder
from cl_bench.scenarios import ClassIncremental

WAYS = {
    "batched": lambda scenario, folder: scenario.prepare(8, folder),
    "pillow": lambda scenario, folder: scenario.look_at_files(folder),
}


@pytest.fixture(params=WAYS)
def identity(request, tmp_path):
    """Of the stream of a data set, as a run makes it."""

    def identity(dataset):
        scenario = ClassIncremental(dataset, 2)
        WAYS[request.param](scenario, tmp_path / "prepared")
        return scenario.identity()

    return identity


@pytest.fixture
def root(tmp_path):
    """Bitmaps, all of one size and time, of one name in each class."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(5):
            path = tmp_path / "images" / name / f"{number}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, 100 * label + number)
    return tmp_path / "images"


def save(path, gray):
    Image.fromarray(np.full((9, 9, 3), gray, np.uint8)).save(path)
    os.utime(path, ns=(10**18, 10**18))


def test_a_stream_of_the_same_files_is_the_same_wherever_they_lie(root, identity):
    before = identity(folder.load(root))
    assert before == identity(folder.load(root))
    root.rename(root.with_name("moved"))
    assert before == identity(folder.load(root.with_name("moved")))


def test_a_data_set_that_was_read_before_is_looked_at_anew(root, identity):
    dataset = folder.load(root)  # which loaders of published data sets remember as long as the process lives
    before = identity(dataset)
    save(root / "cat/3.bmp", 250)
    assert identity(dataset) != before


@pytest.mark.parametrize("held_out", [False, True])
def test_one_image_of_either_split_makes_another_stream(root, identity, held_out):
    dataset = folder.load(root)
    name = (dataset.test if held_out else dataset.train).pixels.names[0]
    before = identity(dataset)
    save(root / name, 250)
    assert identity(folder.load(root)) != before


def test_folders_that_swap_their_names_swap_the_labels(root, identity):
    before = identity(folder.load(root))
    for old, new in (("cat", "other"), ("dog", "cat"), ("other", "dog")):
        (root / old).rename(root / new)
    assert identity(folder.load(root)) != before


def test_experiences_read_the_files_that_were_looked_at(root, tmp_path):
    scenario = ClassIncremental(folder.load(root), 2)
    scenario.look_at_files(tmp_path / "prepared")
    for experience in scenario.train_stream:
        (source,) = experience.samples.sources
        assert source is scenario.datasets[0].train.pixels
    scenario.prepare(8, tmp_path / "prepared")
    assert all(experience.samples.in_arrays for experience in scenario.train_stream)
