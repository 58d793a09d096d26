import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cl_bench.datasets.mnist import load
from tests.helpers.releases import refusal, write_mnist

FILES = [f"{split}-{part}-ubyte" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1")]


@pytest.mark.parametrize("compressed", [False, True])
def test_digits_are_read_as_they_lie_on_disk(tmp_path, compressed):
    arrays = write_mnist(tmp_path, train=23, test=11, compressed=compressed)
    data = load(tmp_path)
    for split, (gray, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert split.pixels.shape == (len(gray), 28, 28, 3)
        assert all((split.pixels[..., channel] == gray).all() for channel in range(3))
        assert (split.labels == labels).all()
    assert data.class_names == tuple("0123456789") and data.split == "official"


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_told(tmp_path, file):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / file
    path.unlink()
    assert f"MNIST: {path} or {path}.gz is missing.\n" in refusal(load, tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("compressed", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(share=st.floats(0, 0.99))
def test_a_truncated_file_is_told(tmp_path_factory, file, compressed, share):
    root = tmp_path_factory.mktemp("data")
    write_mnist(root, compressed=compressed)
    path = root / "MNIST" / "raw" / (file + compressed * ".gz")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    message = refusal(load, root)
    assert str(path) in message and "damaged" in message
    assert f"python -m cl_bench.datasets download mnist --data-dir {root}" in message


@pytest.mark.parametrize(
    ("file", "position", "byte", "problem"),
    [
        ("train-images-idx3-ubyte", 3, 1, "it begins with 2049"),
        ("train-labels-idx1-ubyte", 8, 77, "has the label 77, which is no class"),
        ("t10k-images-idx3-ubyte", 7, 9, "cannot reshape"),
    ],
)
def test_a_wrong_byte_is_told(tmp_path, file, position, byte, problem):
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / file
    content = bytearray(path.read_bytes())
    content[position] = byte
    path.write_bytes(content)
    message = refusal(load, tmp_path)
    assert f"{path} is damaged" in message and problem in message


def test_images_and_labels_must_be_as_many(tmp_path):
    write_mnist(tmp_path / "a", train=20)
    write_mnist(tmp_path / "b", train=21)
    labels = "MNIST/raw/train-labels-idx1-ubyte"
    (tmp_path / "a" / labels).write_bytes((tmp_path / "b" / labels).read_bytes())
    assert "20 images for 21 labels" in refusal(load, tmp_path / "a")


def test_files_of_the_web_site_are_read_like_unpacked_ones(tmp_path):
    write_mnist(tmp_path / "unpacked")
    write_mnist(tmp_path / "mixed")
    path = tmp_path / "mixed" / "MNIST" / "raw" / FILES[0]
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    one, other = (load(tmp_path / folder) for folder in ("unpacked", "mixed"))
    assert np.array_equal(one.train.pixels, other.train.pixels) and one.identity == other.identity
