import shutil

import numpy as np
import pytest
from torchvision.datasets import Caltech101

from cl_bench.datasets import caltech101
from cl_bench.datasets.releases import split
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import write_caltech101, write_images


@pytest.fixture
def root(tmp_path):
    write_caltech101(tmp_path)
    return tmp_path


def test_classes_are_torchvisions_and_the_background_is_none(root):
    check_dataset(lambda: caltech101.load.__wrapped__(root))
    data, theirs = caltech101.load(root), Caltech101(root)
    assert list(data.class_names) == theirs.categories and len(data.class_names) == 101
    assert (data.class_names[0], data.class_names[5], data.class_names[100]) == ("Faces", "airplanes", "yin_yang")
    ours = {
        name: int(label)
        for part in (data.train, data.test)
        for name, label in zip(part.pixels.names, part.labels, strict=True)
    }
    files = [f"{theirs.categories[y]}/image_{index:04d}.jpg" for y, index in zip(theirs.y, theirs.index, strict=True)]
    assert ours == dict(zip(files, theirs.y, strict=True))
    assert np.array_equal(data.train.pixels[0], np.asarray(theirs[files.index(data.train.pixels.names[0])][0]))


def test_a_fifth_of_each_class_is_held_out_and_the_list_is_named(root):
    data = caltech101.load(root)
    assert np.bincount(data.test.labels).tolist() == [1] * 101 and len(data.train) == 404
    assert data.split == split.digest(data.test.pixels.names)
    assert data.split == "b049816ba3f8120dbc09ff6c64bd3f8c3d4add584d5ad65117fdcd69926d1109"


def test_missing_and_other_folders_are_told(root):
    folder = root / "caltech101/101_ObjectCategories"
    write_images(folder / "zebra", ["image_0001.jpg"])
    refuses(caltech101, root, str(folder), "it also has zebra")
    shutil.rmtree(folder / "zebra")
    shutil.rmtree(folder / "wrench")
    refuses(caltech101, root, "it lacks wrench")
    (folder / "wrench").mkdir()
    refuses(caltech101, root, str(folder / "wrench"), "holds no images")
    shutil.rmtree(folder)
    refuses(caltech101, root, str(folder), "missing")
    write_caltech101(root)
    shutil.rmtree(folder / "BACKGROUND_Google")
    assert len(caltech101.load.__wrapped__(root).train) == 404
