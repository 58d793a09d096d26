"""The layout of the release, with a few made-up images."""

import hashlib

import pytest

from cl_bench.datasets.cifar100 import PROMPTS, load
from cl_bench.errors import UserError
from tests.made_up_cifar100 import write_cifar100


def test_images_labels_and_names_are_read_as_they_lie_on_disk(tmp_path):
    pixels, labels = write_cifar100(tmp_path, train=200, test=100)
    data = load(tmp_path, checksum=False)
    assert data.train.pixels.shape == (200, 32, 32, 3) and data.test.pixels.shape == (100, 32, 32, 3)
    assert (data.train.pixels == pixels["train"]).all() and (data.train.labels == labels["train"]).all()
    assert len(data.class_names) == 100 and data.class_names[1] == "aquarium_fish"


def test_files_that_are_not_the_releases_are_refused(tmp_path):
    write_cifar100(tmp_path, train=100, test=100)
    with pytest.raises(UserError, match="missing or damaged"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["train", "test", "meta"])
def test_missing_and_truncated_files_are_named_with_the_remedy(tmp_path, file):
    write_cifar100(tmp_path, train=100, test=100)
    path = tmp_path / "cifar-100-python" / file
    for damage in (lambda: path.write_bytes(path.read_bytes()[:50]), path.unlink):
        damage()
        load.cache_clear()
        with pytest.raises(UserError, match=r"(?s)cifar-100-python.*cifar-100-python\.tar\.gz.*paths\.data_dir"):
            load(tmp_path, checksum=False)


def test_the_prompts_are_the_published_eighteen():
    assert len(set(PROMPTS)) == 18
    digest = hashlib.sha256("\n".join(sorted(PROMPTS)).encode()).hexdigest()
    assert digest == "d6ee29646b4229711e73085fd0154880b7a18899093186f59e72f856e1784f7a"
