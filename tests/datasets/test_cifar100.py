"""The layout of the release, with a few made-up images."""

import os
import pickle

import numpy as np
import pytest

from cl_bench.datasets.cifar100 import load
from cl_bench.datasets.releases import array_pickle
from cl_bench.runtime.errors import UserError
from tests.helpers.releases import write_cifar100


def test_images_labels_and_names_are_read_as_they_lie_on_disk(tmp_path):
    arrays = write_cifar100(tmp_path)
    data = load(tmp_path, checksum=False)
    for split, (pixels, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert (split.pixels == pixels).all() and (split.labels == labels).all()
    assert data.name == "cifar100" and data.split == "official"
    assert data.class_names[:2] == ("apple", "aquarium_fish")


def test_files_that_are_not_the_releases_are_refused(tmp_path):
    write_cifar100(tmp_path)
    with pytest.raises(UserError, match="damaged, or not the release's"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["train", "test", "meta"])
def test_missing_and_truncated_files_are_told_with_the_remedy(tmp_path, file):
    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-python" / file
    for problem, damage in (
        (f"a file in {path.parent} is damaged", lambda: path.write_bytes(path.read_bytes()[:50])),
        (f"{path} is missing", path.unlink),
    ):
        damage()
        with pytest.raises(UserError) as error:
            load.__wrapped__(tmp_path, checksum=False)
        assert problem in str(error.value)
        assert f"python -m cl_bench.datasets download cifar100 --data-dir {tmp_path}" in str(error.value)


def test_a_label_that_is_no_class_is_told(tmp_path):
    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-python" / "test"
    path.write_bytes(path.read_bytes().replace(b"Kc", b"K\xc8"))
    with pytest.raises(UserError, match="has the label 200, which is no class"):
        load(tmp_path, checksum=False)


def test_what_lies_in_a_pickle_is_not_called(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was-called"),)

    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-python" / "meta"
    path.write_bytes(pickle.dumps({"fine_label_names": Evil()}))
    with pytest.raises(UserError, match=r"damaged, or not the release's \(it wants \w+\.mkdir called"):
        load(tmp_path, checksum=False)
    assert not (tmp_path / "was-called").exists()


def test_pickles_of_every_protocol_and_of_python_2_are_read(tmp_path):
    for protocol in range(6):
        content = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "fine_labels": [1, 2]}
        (tmp_path / "file").write_bytes(pickle.dumps(content, protocol))
        found = array_pickle.read(tmp_path / "file")
        assert found["fine_labels"] == [1, 2] and (found["data"] == content["data"]).all(), protocol
    (tmp_path / "file").write_bytes(b"(dp1\nS'data'\np2\nS'caf\\xe9'\np3\ns.")
    assert array_pickle.read(tmp_path / "file") == {"data": "caf\xe9"}
