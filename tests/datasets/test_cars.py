import numpy as np
import pytest
from scipy.io import savemat

from cl_bench.datasets.cars import load
from tests.helpers.releases import CARS, has_color_of, refusal, write_cars

LISTS = ["devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"]


def test_images_and_classes_are_read_as_they_lie_on_disk(tmp_path):
    write_cars(tmp_path)
    data = load(tmp_path)
    assert data.class_names == CARS and data.split == "official"
    assert (data.train.labels == 45 * np.arange(392) % 196).all()
    assert (data.test.labels == 45 * np.arange(196) % 196).all()
    assert data.train.pixels.names[:2] == ("00001.jpg", "00002.jpg")
    assert has_color_of(data.train.pixels[391], "00392.jpg") and has_color_of(data.test.pixels[0], "00001.jpg")


@pytest.mark.parametrize("part", LISTS)
def test_missing_and_truncated_lists_are_told_with_the_remedy(tmp_path, part):
    write_cars(tmp_path, images=False)
    path = tmp_path / "stanford_cars" / part
    path.write_bytes(path.read_bytes()[:200])
    assert f"Stanford Cars: {path} is damaged" in refusal(load, tmp_path)
    path.unlink()
    message = refusal(load, tmp_path)
    assert f"Stanford Cars: {path} is missing.\nGet it with: python -m cl_bench.datasets download cars " in message


@pytest.mark.parametrize("folder", ["cars_train", "cars_test"])
def test_missing_images_are_told(tmp_path, folder):
    write_cars(tmp_path, images=False)
    (tmp_path / "stanford_cars" / folder).rename(tmp_path / "elsewhere")
    assert f"Stanford Cars: {tmp_path / 'stanford_cars' / folder} is missing" in refusal(load, tmp_path)


def annotations(**fields):
    dtype = [(name, object) for name in fields]
    return {"annotations": np.array([list(zip(*fields.values(), strict=True))], dtype=dtype)}


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "it lacks annotations"),
        ({"annotations": np.zeros((1, 3))}, "it lacks annotations"),
        (annotations(fname=["00001.jpg", "00002.jpg"]), "it lacks annotations"),
        (annotations(**{"class": [1, 2]}), "it lacks annotations"),
        (annotations(**{"class": [1, 197], "fname": ["00001.jpg", "00002.jpg"]}), "the label 197, which is no class"),
        (annotations(**{"class": [1, 0], "fname": ["00001.jpg", "00002.jpg"]}), "the label 0, which is no class"),
        (annotations(**{"class": [1, "two"], "fname": ["00001.jpg", "00002.jpg"]}), "its labels are no numbers"),
        ({"annotations": np.zeros((1, 0), dtype=[("class", object), ("fname", object)])}, "is damaged"),
    ],
)
def test_other_contents_are_told(tmp_path, variables, problem):
    write_cars(tmp_path, images=False)
    path = tmp_path / "stanford_cars" / LISTS[1]
    savemat(path, variables)
    message = refusal(load, tmp_path)
    assert f"{path} is damaged" in message and problem in message


def test_a_class_that_is_missing_is_told(tmp_path):
    write_cars(tmp_path, images=False)
    path = tmp_path / "stanford_cars" / LISTS[0]
    savemat(path, {"class_names": np.array(CARS[1:], dtype=object)[None]})
    assert f"{path} has 195 classes instead of 196" in refusal(load, tmp_path)
