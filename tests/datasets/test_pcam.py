"""HDF5's own library is not among what tests need, so a stand-in opens files that NumPy has written in their place."""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cl_bench.datasets.pcam import CLASS_NAMES, load
from cl_bench.images.prepared import prepare
from cl_bench.images.shots import draw
from cl_bench.testing import check_dataset
from tests.helpers.releases import refusal

NAME = "pcam/camelyonpatch_level_2_split_{}_{}.h5"


class _File(dict):
    """What is used of `h5py.File`."""

    def __init__(self, path, mode):
        assert mode == "r"
        with open(path, "rb") as file:
            try:
                super().__init__(np.load(file))
            except (ValueError, EOFError) as error:  # which h5py raises as OSError
                raise OSError(str(error)) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clear()


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=_File))


def write(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_pcam(root, seed=0):
    random, arrays = np.random.default_rng(seed), {}
    for split, count in (("train", 12), ("test", 6)):
        pixels, labels = random.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8), np.arange(count) % 3 % 2
        write(root / NAME.format(split, "x"), x=pixels)
        write(root / NAME.format(split, "y"), y=labels.astype(np.uint8).reshape(-1, 1, 1, 1))
        arrays[split] = pixels, labels
    return arrays


def test_patches_are_read_one_by_one_with_their_labels(stand_in, tmp_path):
    arrays = write_pcam(tmp_path)
    check_dataset(lambda: load.__wrapped__(tmp_path))
    data = load(tmp_path)
    assert "tumor" in CLASS_NAMES[1] and "tumor" not in CLASS_NAMES[0]
    for images, (pixels, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert (images.labels == labels).all() and len(images) == len(pixels)
        assert all(np.array_equal(images.pixels[row], pixels[row]) for row in range(len(pixels)))


def test_few_of_them_prepared_and_in_another_process(stand_in, tmp_path):
    arrays = write_pcam(tmp_path)
    whole = load(tmp_path)
    few = draw(whole, 2, 0)
    ready = prepare(few, 96, tmp_path / "prepared")
    rows = [np.flatnonzero((arrays["train"][0] == image).all(axis=(1, 2, 3)))[0] for image in few.train.pixels]
    assert len(rows) == 4 and (arrays["train"][1][rows] == few.train.labels).all()
    assert all(np.array_equal(ready.train.pixels[i], few.train.pixels[i]) for i in range(4))
    assert pickle.loads(pickle.dumps(few.train.pixels))[3].tobytes() == few.train.pixels[3].tobytes()
    identities = {pixels.identity for pixels in (whole.train.pixels, few.train.pixels, draw(whole, 1, 0).train.pixels)}
    assert len(identities) == 3 and few.train.pixels.identity == draw(whole, 2, 0).train.pixels.identity


def test_the_identity_is_of_the_content(stand_in, tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_pcam(tmp_path / folder, seed)
    a, b, c = (load(tmp_path / folder).identity for folder in "abc")
    assert a == b != c


def test_missing_and_damaged_files_are_told(stand_in, tmp_path):
    write_pcam(tmp_path)
    images, labels = tmp_path / NAME.format("train", "x"), tmp_path / NAME.format("test", "y")
    write(labels, y=np.zeros((7, 1, 1, 1), dtype=np.uint8))
    assert "test_x.h5 is damaged: it holds (6, 96, 96, 3) values for 7 labels" in refusal(load, tmp_path)
    write(labels, z=np.zeros(6))
    assert f"{labels} is damaged" in refusal(load, tmp_path)
    labels.unlink()
    assert f"PatchCamelyon: {labels} is missing.\n" in refusal(load, tmp_path)
    images.write_bytes(b"no HDF5")
    message = refusal(load, tmp_path)
    assert f"{images} or" in message and "is damaged" in message and "download pcam " in message


def test_without_the_library_it_is_told_what_to_install(monkeypatch, tmp_path):
    write_pcam(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "HDF5, which h5py reads: pip install 'cl_bench[pcam]'" in refusal(load, tmp_path)


def test_torchvision_reads_the_same_from_real_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    from torchvision.datasets import PCAM

    for split in ("train", "test"):
        for letter, shape in (("x", (5, 96, 96, 3)), ("y", (5, 1, 1, 1))):
            path = tmp_path / NAME.format(split, letter)
            path.parent.mkdir(exist_ok=True)
            values = np.random.default_rng(0).integers(0, 256 if letter == "x" else 2, shape, dtype=np.uint8)
            with h5py.File(path, "w") as file:
                file[letter] = values
    for images, split in ((load(tmp_path).train, "train"), (load(tmp_path).test, "test")):
        for row, (image, label) in enumerate(PCAM(tmp_path, split)):
            assert images.labels[row] == label and np.array_equal(images.pixels[row], np.asarray(image))
