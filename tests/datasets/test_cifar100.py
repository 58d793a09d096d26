"""The layout of the release, with a few made-up images."""

import pytest

from cl_bench.datasets.cifar100 import load
from cl_bench.errors import UserError
from tests.datasets.releases import write_cifar100


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
