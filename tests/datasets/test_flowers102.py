import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import Flowers102

from cl_bench.datasets.flowers102 import CLASS_NAMES, load
from tests.helpers.releases import has_color_of, refusal
from tests.helpers.releases_of_twenty import write_flowers102


def test_names_stand_at_the_labels_of_the_release():
    assert [*CLASS_NAMES] == Flowers102.classes
    assert (CLASS_NAMES[0], CLASS_NAMES[72], CLASS_NAMES[101]) == ("pink primrose", "water lily", "blackberry lily")


def test_images_are_those_of_the_split(tmp_path):
    write_flowers102(tmp_path)
    data = load(tmp_path)
    assert (len(data.train), len(data.test), data.split) == (204, 102, "official")
    assert data.train.pixels.names[0] == "image_00408.jpg" and data.train.labels[0] == 407 * 41 % 102
    assert has_color_of(data.test.pixels[1], "image_00104.jpg")


@pytest.mark.parametrize("ids", [[], [0, 1], [1, 409]])
def test_a_damaged_split_is_told(tmp_path, ids):
    write_flowers102(tmp_path)
    path = tmp_path / "flowers-102/setid.mat"
    savemat(path, {"trnid": np.array([ids]), "tstid": np.array([[1]])})
    assert f"{path} is damaged: trnid has to list images 1 to 408" in refusal(load, tmp_path)


def test_missing_files_are_told(tmp_path):
    write_flowers102(tmp_path)
    for name in ("setid.mat", "imagelabels.mat"):
        path = tmp_path / "flowers-102" / name
        path.unlink()
        assert f"Oxford 102 Flowers: {path} is missing.\n" in refusal(load, tmp_path)
