"""Where HDF5's own library is not installed, a stand-in opens files that NumPy has written in their place."""

import gzip
import multiprocessing
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cl_bench.datasets.pcam import CLASS_NAMES, RELEASE, load
from cl_bench.datasets.releases.unpack import unpack
from cl_bench.images.prepared import prepare
from cl_bench.images.shots import draw
from cl_bench.runtime.errors import UserError
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
    assert "test_x.h5 is damaged: it holds uint8 of (6, 96, 96, 3) for 7 labels" in refusal(load, tmp_path)
    write(labels, y=np.full((6, 1, 1, 1), 2))
    assert f"{labels} is damaged: it has the label 2, which is no class" in refusal(load, tmp_path)
    write(labels, z=np.zeros(6))
    assert f"{labels} is damaged" in refusal(load, tmp_path)
    whole = images.read_bytes()
    write(images, x=np.zeros((12, 96, 96, 3)))
    write(labels, y=np.zeros((6, 1, 1, 1), dtype=np.uint8))
    assert "train_x.h5 is damaged: it holds float64 of (12, 96, 96, 3) for 12 labels" in refusal(load, tmp_path)
    images.write_bytes(whole)
    patches = load(tmp_path).train.pixels
    images.unlink()
    with pytest.raises(UserError, match=rf"(?s){images} is missing or damaged.*download pcam "):
        patches[0]
    images.write_bytes(whole)
    labels.unlink()
    assert f"PatchCamelyon: {labels} is missing.\n" in refusal(load, tmp_path)
    images.write_bytes(b"no HDF5")
    message = refusal(load, tmp_path)
    assert f"{images} or" in message and "is damaged" in message and "download pcam " in message


def test_without_the_library_it_is_told_what_to_install(monkeypatch, tmp_path):
    write_pcam(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "HDF5, which h5py reads: pip install 'cl_bench[pcam]'" in refusal(load, tmp_path)


def write_real(root, h5py):
    """The four archives as they are fetched, unpacked."""
    for archive in RELEASE.archives:
        path, letter = root / archive.file.removesuffix(".gz"), archive.file[-7]
        shape = {"x": (20, 96, 96, 3), "y": (20, 1, 1, 1)}[letter]
        values = np.random.default_rng(len(path.name)).integers(0, {"x": 256, "y": 2}[letter], shape, dtype=np.uint8)
        with h5py.File(path, "w") as file:
            file[letter] = values
        path.with_name(archive.file).write_bytes(gzip.compress(path.read_bytes(), 1))
        unpack(path.with_name(archive.file), root / archive.into)


def test_torchvision_reads_the_same_from_real_files_and_so_do_other_processes(tmp_path):
    h5py = pytest.importorskip("h5py")
    from torchvision.datasets import PCAM

    write_real(tmp_path, h5py)
    data = load(tmp_path)
    for images, split in ((data.train, "train"), (data.test, "test")):
        theirs = list(PCAM(tmp_path, split))
        assert len(images) == len(theirs) == 20 and [label for _, label in theirs] == images.labels.tolist()
        assert all(np.array_equal(images.pixels[row], np.asarray(image)) for row, (image, _) in enumerate(theirs))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        read = pool.map(data.train.pixels.__getitem__, range(20), chunksize=1)
    assert all(np.array_equal(pixels, data.train.pixels[row]) for row, pixels in enumerate(read))


def test_both_hosts_are_asked_for_the_four_files():
    from torchvision.datasets import PCAM

    wanted = [PCAM._FILES[split][kind] for split in ("train", "test") for kind in ("images", "targets")]
    assert [(archive.file, archive.checksum) for archive in RELEASE.archives] == [
        (f"{file}.gz", f"md5:{md5}") for file, _, md5 in wanted
    ]
    for archive, (_, drive, _) in zip(RELEASE.archives, wanted, strict=True):
        zenodo, google = archive.urls
        assert f"/{archive.file}?" in zenodo and google.endswith(f"id={drive}")
