import hashlib
import shutil

import numpy as np
import pytest

from cl_bench.datasets import eurosat
from cl_bench.datasets.eurosat import load
from cl_bench.datasets.releases import split
from tests.helpers.releases import has_color_of, refusal, write_eurosat, write_images

NAMES = [f"{folder}/{folder}_{k}.jpg" for folder, count in eurosat.FOLDERS.items() for k in range(1, count + 1)]


def test_the_stored_split_is_the_one_that_the_rule_gives():
    strata = np.repeat(np.arange(10), list(eurosat.FOLDERS.values()))
    test, both = (split.held_out(NAMES, strata, [quota] * 10) for quota in (270, 540))
    assert eurosat.held_out("test") == np.array(NAMES)[test].tolist()
    assert eurosat.held_out("validation") == np.array(NAMES)[both & ~test].tolist()
    assert split.digest(eurosat.held_out("test")) == "0089bc41a9606f9565d7585f689aec92b8bc5129a310bd36e8c38dcd774a1a01"


@pytest.mark.parametrize("folder", ["eurosat/2750", "EuroSAT_RGB"])
def test_images_are_split_by_the_stored_list(tmp_path, folder):
    write_eurosat(tmp_path, folder)
    data = load(tmp_path)
    held_out = {*eurosat.held_out("test"), *eurosat.held_out("validation")}
    assert not held_out & {*data.train.pixels.names}
    assert {*data.test.pixels.names} == {eurosat.held_out("test")[270 * i] for i in range(10)}
    assert np.bincount(data.train.labels).tolist() == [2] * 10 and np.bincount(data.test.labels).tolist() == [1] * 10
    assert data.split == split.digest(data.test.pixels.names)
    for images in (data.train, data.test):
        for row, name in enumerate(images.pixels.names):
            assert name.startswith(list(eurosat.FOLDERS)[images.labels[row]])
            assert has_color_of(images.pixels[row], name.rpartition("/")[2])


def test_the_whole_release_has_the_published_sizes(tmp_path):
    write_eurosat(tmp_path)
    some = next(tmp_path.rglob("*.jpg"))
    for name in NAMES:
        path = tmp_path / "eurosat/2750" / name
        if not path.exists():
            path.hardlink_to(some)
    data = load(tmp_path)
    counts = [np.bincount(images.labels).tolist() for images in (data.train, data.test)]
    assert counts == [list(numbers) for numbers in eurosat.RELEASE.per_class]
    assert data.split == split.digest(eurosat.held_out("test"))


def test_class_names_are_the_published_ones():
    assert list(eurosat.FOLDERS) == sorted(eurosat.FOLDERS)
    digest = hashlib.sha256("\n".join(eurosat.CLASS_NAMES).encode()).hexdigest()
    assert digest == "ee2e41b9973e7206862cbcded186c61be7b413418248f678e1bf80179da28d9c"


def test_other_folders_are_told(tmp_path):
    write_eurosat(tmp_path)
    folder = tmp_path / "eurosat/2750"
    shutil.rmtree(folder / "River")
    message = refusal(load, tmp_path)
    assert f"EuroSAT: {folder} must have the folders AnnualCrop, Forest, " in message
    assert f"python -m cl_bench.datasets download eurosat --data-dir {tmp_path}" in message
    write_images(folder, ["Rivers/Rivers_1.jpg"])
    assert "must have the folders" in refusal(load, tmp_path)
    (folder / "River").mkdir()
    assert f"{folder / 'River'} holds no images" in refusal(load, tmp_path)
