import numpy as np
import pytest
from scipy.io import savemat

from cl_bench.datasets.svhn import load
from tests.helpers.releases import refusal, write_svhn


def test_digits_are_read_as_they_lie_on_disk_and_ten_is_zero(tmp_path):
    arrays = write_svhn(tmp_path, train=23, test=11)
    data = load(tmp_path)
    for split, (pixels, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert (split.pixels == pixels).all() and (split.labels == labels).all()
        assert split.pixels.flags["C_CONTIGUOUS"]
    assert data.class_names == tuple("0123456789") and data.split == "official"


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_and_truncated_files_are_told_with_the_remedy(tmp_path, split):
    write_svhn(tmp_path)
    path = tmp_path / "svhn" / f"{split}_32x32.mat"
    whole = path.read_bytes()
    for damaged in (b"", whole[:1000], whole[:1000] + bytes(len(whole) - 1000)):
        path.write_bytes(damaged)
        assert f"SVHN: {path} is damaged" in refusal(load, tmp_path)
    path.unlink()
    message = refusal(load, tmp_path)
    assert f"SVHN: {path} is missing.\nGet it with: python -m cl_bench.datasets download svhn " in message


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"X": np.zeros((32, 32, 3, 4), np.uint8)}, "it lacks X"),
        ({"y": np.ones(4, np.uint8)}, "it lacks X"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((5, 1), np.uint8)}, "it lacks X"),
        ({"X": np.zeros((32, 32, 3, 4)), "y": np.ones((4, 1), np.uint8)}, "it lacks X"),
        ({"X": "words", "y": np.ones((4, 1), np.uint8)}, "it lacks X"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.array([[1], [2], [0], [10]])}, "the label 0,"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.array([[1], [2], [11], [10]])}, "the label 11,"),
    ],
)
def test_other_contents_are_told(tmp_path, variables, problem):
    write_svhn(tmp_path)
    path = tmp_path / "svhn" / "train_32x32.mat"
    savemat(path, variables)
    message = refusal(load, tmp_path)
    assert f"{path} is damaged" in message and problem in message
