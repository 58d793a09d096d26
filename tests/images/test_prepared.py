"""The prepared cache: the same pixels as from the files, once, whole or not at all.

Over 300 lines: made, found again, damaged, killed and shared, all with the same made-up folder.
"""

import importlib
import os
import pickle
import stat
import sys
import uuid

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from cl_bench.images import prepared
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.prepared import prepare
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime.errors import UserError
from tests.scenarios.conftest import make_dataset

WORDS = (("a", "b"), ("a photo of a {}.",))


def write_images(folder, shapes, suffix="jpg"):
    """Smooth pictures with some noise, (height, width) each; returns their names."""
    random, names = np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for i, (height, width) in enumerate(shapes):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        noisy = np.clip(smooth + random.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
        names.append(f"{i:03d}.{suffix}")
        Image.fromarray(noisy).save(folder / names[-1])
    return names


SHAPES = [(90, 120), (120, 75), (64, 64), (200, 61), (40, 50), (70, 70)]


@pytest.fixture
def dataset(tmp_path):
    names = write_images(tmp_path / "images", SHAPES)
    return made(tmp_path / "images", names[:4], names[4:])


def made(folder, train, test, name="pictures"):
    splits = [Images(ImageFiles(folder, some, "mend it"), np.arange(len(some)) % 2) for some in (train, test)]
    return ImageDataset(name, *WORDS, *splits)


def test_images_are_decoded_and_only_shrunk(dataset, tmp_path):
    ready = prepare(dataset, 64, tmp_path / "prepared")
    shapes = [ready.train.pixels[i].shape for i in range(4)] + [ready.test.pixels[i].shape for i in range(2)]
    assert shapes == [(64, 85, 3), (102, 64, 3), (64, 64, 3), (200, 61, 3), (40, 50, 3), (64, 64, 3)]
    assert (ready.train.pixels[3] == dataset.train.pixels[3]).all()  # short sides below the size stay as they are
    assert (ready.train.labels == dataset.train.labels).all() and ready.class_names == dataset.class_names


def test_evaluation_sees_the_same_pixels_as_from_the_files(dataset, tmp_path):
    ready, transform = prepare(dataset, 64, tmp_path / "prepared"), ImageTransform(64, (0.5,) * 3, (0.5,) * 3)
    for fast, slow in ((ready.train.pixels, dataset.train.pixels), (ready.test.pixels, dataset.test.pixels)):
        both = [transform.squares([pixels[i] for i in range(len(pixels))]) for pixels in (fast, slow)]
        assert torch.equal(*both)


def test_a_second_time_nothing_is_decoded(dataset, tmp_path, monkeypatch):
    first = prepare(dataset, 64, tmp_path / "prepared")
    monkeypatch.setattr(ImageFiles, "__getitem__", None)
    again = prepare(dataset, 64, tmp_path / "prepared")
    assert first.identity == again.identity
    assert (first.train.pixels[1] == again.train.pixels[1]).all()


def test_identity_is_of_the_pixels_and_sizes_are_kept_apart(dataset, tmp_path):
    ready = [prepare(dataset, size, tmp_path / "prepared") for size in (32, 64)]
    elsewhere = prepare(dataset, 64, tmp_path / "other")
    assert len({dataset.identity, ready[0].identity, ready[1].identity}) == 3
    assert ready[1].identity == elsewhere.identity
    assert prepared.sizes("pictures", tmp_path / "prepared") == [32, 64]
    assert prepared.sizes("picture", tmp_path / "prepared") == prepared.sizes("pictures", tmp_path / "none") == []


def test_touched_files_are_prepared_anew(dataset, tmp_path):
    before = prepare(dataset, 32, tmp_path / "prepared")
    Image.new("RGB", (50, 50)).save(tmp_path / "images" / "001.jpg")
    fresh = made(tmp_path / "images", dataset.train.pixels.names, dataset.test.pixels.names)
    after = prepare(fresh, 32, tmp_path / "prepared")
    assert before.identity != after.identity and after.train.pixels[1].max() == 0


def test_files_that_were_touched_alone_are_not_prepared_anew(dataset, tmp_path, monkeypatch):
    before = prepare(dataset, 32, tmp_path / "prepared")
    for path in (tmp_path / "images").iterdir():
        os.utime(path, ns=(0, 0))
        path.rename(path.with_suffix(".other"))
    names = [[f"{name[:-3]}other" for name in split.pixels.names] for split in (dataset.train, dataset.test)]
    monkeypatch.setattr(ImageFiles, "__getitem__", None)
    assert prepare(made(tmp_path / "images", *names), 32, tmp_path / "prepared").identity == before.identity


@pytest.mark.parametrize("keep", ["the data set", "names and times"])
def test_files_of_other_content_are_prepared_anew_whatever_else_is_as_before(tmp_path, keep):
    names = write_images(tmp_path / "images", [(40, 40)] * 4, "bmp")
    dataset = made(tmp_path / "images", names[:2], names[2:])
    before = prepare(dataset, 32, tmp_path / "prepared")
    assert dataset.train.pixels.identity  # which it remembers
    path = tmp_path / "images" / names[1]
    state = path.stat()
    Image.new("RGB", (40, 40)).save(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    again = dataset if keep == "the data set" else made(tmp_path / "images", names[:2], names[2:])
    after = prepare(again, 32, tmp_path / "prepared")
    assert before.identity != after.identity and np.asarray(after.train.pixels[1]).max() == 0


DECODER = """
from cl_bench.images.files import ImageFiles


class Darker(ImageFiles):
    def __getitem__(self, row):
        return super().__getitem__(row) // {factor}
"""


def test_images_that_the_users_own_code_decodes_are_prepared_anew_when_it_is_edited(tmp_path, monkeypatch):
    names = write_images(tmp_path / "images", [(40, 40)] * 4, "bmp")
    monkeypatch.syspath_prepend(tmp_path)
    sums = []
    for factor in (2, 40):
        (tmp_path / "my_decoder.py").write_text(DECODER.format(factor=factor))
        importlib.invalidate_caches()
        darker = importlib.import_module("my_decoder").Darker
        splits = [Images(darker(tmp_path / "images", names, "mend it"), np.zeros(4, dtype=np.int64)) for _ in range(2)]
        ready = prepare(ImageDataset("mine", *WORDS, *splits), 32, tmp_path / "prepared")
        sums.append(np.asarray(ready.train.pixels[0], dtype=int).sum())
        del sys.modules["my_decoder"]
    plain = prepare(made(tmp_path / "images", names, names), 32, tmp_path / "prepared").train.pixels[0]
    assert np.asarray(plain, dtype=int).sum() > 1.5 * sums[0] > 15 * sums[1] > 0


def test_images_that_differ_in_shape_alone_are_told_apart(tmp_path):
    identities = []
    for number, shape in enumerate([(70, 80), (80, 70)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", shape).save(folder / name)
        identities.append(prepare(made(folder, ["a.png"], ["b.png"]), 96, tmp_path / "prepared").identity)
    assert identities[0] != identities[1]


def test_files_that_change_while_they_are_prepared_are_refused(dataset, tmp_path, monkeypatch):
    decode = ImageFiles.__getitem__

    def slow(self, row):
        new = tmp_path / f"{uuid.uuid4()}.jpg"  # several threads decode, and none may see half a file
        Image.new("RGB", (50, 50), (row, 0, 0)).save(new)
        new.replace(tmp_path / "images" / "001.jpg")
        return decode(self, row)

    monkeypatch.setattr(ImageFiles, "__getitem__", slow)
    with pytest.raises(UserError, match="changed while they were prepared"):
        prepare(dataset, 64, tmp_path / "prepared")
    assert [p for p in (tmp_path / "prepared").iterdir() if p.suffix != ".lock"] == []


def test_folders_of_an_earlier_format_are_named_once_and_not_used(dataset, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "prepared"
    new = prepare(dataset, 32, folder)
    assert "earlier version" not in caplog.text
    (path,) = (path for path in folder.iterdir() if path.is_dir())
    with safe_open(path / "index.safetensors", "numpy") as file:
        save_file({"sizes": file.get_tensor("sizes")}, path / "index.safetensors", {"sha256": "0" * 64})
    old = path.rename(path.with_name("pictures-32-0123456789abcdef"))
    assert prepared.sizes("pictures", folder) == []
    assert prepare(dataset, 32, folder).identity == new.identity
    (line,) = (message for message in caplog.messages if "earlier version" in message)
    assert line.endswith(f"may be deleted: {old}")
    prepare(dataset, 64, folder)
    assert caplog.text.count("earlier version") == 1


def test_images_of_one_small_size_are_one_array(tmp_path):
    names = write_images(tmp_path / "images", [(28, 28)] * 5, "png")
    dataset = made(tmp_path / "images", names[:3], names[3:])
    ready = prepare(dataset, 32, tmp_path / "prepared")
    assert isinstance(ready.train.pixels, np.ndarray) and ready.train.pixels.shape == (3, 28, 28, 3)
    for i, image in enumerate(ready.test.pixels):
        assert (image == dataset.test.pixels[i]).all()


def test_arrays_need_no_preparing(tmp_path):
    dataset = make_dataset()
    assert prepare(dataset, 224, tmp_path / "prepared") is dataset and not (tmp_path / "prepared").exists()


def test_other_processes_map_the_file_themselves(dataset, tmp_path):
    ready = prepare(dataset, 64, tmp_path / "prepared")
    image = ready.train.pixels[0]
    sent = pickle.dumps(ready.train.pixels)
    assert len(sent) < image.size / 2 and (pickle.loads(sent)[0] == image).all()


def test_a_damaged_image_is_named_and_nothing_half_written_stays(dataset, tmp_path):
    path = tmp_path / "images" / "002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"(?s)002\.jpg is missing or damaged.*mend it"):
        prepare(dataset, 64, tmp_path / "prepared")
    assert [p for p in (tmp_path / "prepared").iterdir() if p.suffix != ".lock"] == []


def test_all_damaged_images_are_named_up_to_ten(tmp_path):
    names = write_images(tmp_path / "images", [(30, 40)] * 16)
    dataset = made(tmp_path / "images", names[:10], names[10:])
    for name in names[2:15]:
        (tmp_path / "images" / name).write_bytes(b"no image")
    with pytest.raises(UserError) as told:
        prepare(dataset, 20, tmp_path / "prepared")
    *problems, more, remedy = str(told.value).splitlines()
    assert [name for line in problems for name in names if f"/{name} is missing or damaged" in line] == names[2:12]
    assert (more, remedy) == ("and 3 more.", "mend it")
    assert not list((tmp_path / "prepared").glob("*/pixels.bin"))


def test_all_missing_images_are_named(dataset, tmp_path):
    for name in ("001.jpg", "003.jpg"):
        (tmp_path / "images" / name).unlink()
    with pytest.raises(UserError, match=r"(?s)001\.jpg is missing.*\n.*003\.jpg is missing[^\n]*\nmend it$"):
        prepare(dataset, 64, tmp_path / "prepared")


def test_a_missing_image_is_named_before_anything_is_decoded(dataset, tmp_path):
    (tmp_path / "images" / "004.jpg").unlink()
    with pytest.raises(UserError, match=r"(?s)004\.jpg is missing.*mend it"):
        prepare(dataset, 64, tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize("file", ["pixels.bin", "index.safetensors"])
def test_a_damaged_cache_is_made_anew(dataset, tmp_path, file):
    expected = prepare(dataset, 64, tmp_path / "prepared").identity
    (folder,) = (path for path in (tmp_path / "prepared").iterdir() if path.is_dir())
    (folder / file).write_bytes((folder / file).read_bytes()[:40])
    assert prepared.sizes("pictures", tmp_path / "prepared") == []
    again = prepare(dataset, 64, tmp_path / "prepared")
    assert again.identity == expected and again.train.pixels[0].shape == (64, 85, 3)


def test_a_folder_that_cannot_be_written_is_named(dataset, tmp_path):
    (tmp_path / "prepared").write_text("a file")
    with pytest.raises(UserError, match=r"paths\.prepared_dir"):
        prepare(dataset, 64, tmp_path / "prepared")


# A process of its own that prepares; each image takes 0.05 s, so that others can come in between.
SLOW = """
import logging, sys, time
from pathlib import Path
from cl_bench.images.files import ImageFiles
from tests.images.test_prepared import made, prepare
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
decode = ImageFiles.__getitem__
def slow(self, row):
    time.sleep(0.05)
    return decode(self, row)
ImageFiles.__getitem__ = slow
folder = Path(sys.argv[1])
names = sorted(path.name for path in (folder / "images").iterdir())
print(prepare(made(folder / "images", names[:-2], names[-2:]), 32, folder / "prepared").identity)
"""


@pytest.fixture
def begin(commands, tmp_path):
    write_images(tmp_path / "images", [(40, 40)] * 80)
    (tmp_path / "slow.py").write_text(SLOW)
    return lambda: commands.begin(str(tmp_path / "slow.py"), str(tmp_path), cwd=tmp_path)


@pytest.mark.slow
def test_of_two_processes_one_works_and_the_other_waits(begin):
    printed = [process.completed().stdout for process in (begin(), begin())]
    assert sum("images prepared" in text for text in printed) == 1
    assert sum("waiting for it" in text for text in printed) == 1
    assert len({text.split()[-1] for text in printed}) == 1


@pytest.mark.slow
def test_killed_in_the_middle_it_starts_again(begin, tmp_path):
    begin().kill_when(lambda _: list((tmp_path / "prepared").glob(".*.tmp/pixels.bin")))
    assert not prepared.sizes("pictures", tmp_path / "prepared")
    assert "80 images prepared" in begin().completed().stdout
    assert prepared.sizes("pictures", tmp_path / "prepared") == [32]
    assert not list((tmp_path / "prepared").glob(".*.tmp"))


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "a/b", "..", ""])
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    names = write_images(tmp_path / "images", SHAPES)
    with pytest.raises(UserError, match=r"dataset\.name=…"):
        prepare(made(tmp_path / "images", names[:4], names[4:], name), 64, tmp_path / "deep" / "er" / "prepared")
    assert {path.name for path in tmp_path.iterdir()} == {"images"}


def test_images_that_may_not_be_read_are_not_prepared_anew(dataset, tmp_path, monkeypatch):
    prepare(dataset, 64, tmp_path / "prepared")

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    content = prepared._content(dataset, 64)
    monkeypatch.setattr(prepared, "_content", lambda *_: content)
    monkeypatch.setattr(prepared.Path, "open", refuse)
    with pytest.raises(PermissionError):
        prepare(dataset, 64, tmp_path / "prepared")


def test_prepared_images_have_the_modes_of_the_umask(dataset, tmp_path):
    before = os.umask(0o002)
    try:
        prepare(dataset, 64, tmp_path / "prepared")
    finally:
        os.umask(before)
    found = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("prepared/*/*")}
    assert found == {0o664} and stat.S_IMODE(next(tmp_path.glob("prepared/pictures-*")).stat().st_mode) == 0o775
