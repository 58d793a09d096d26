"""The kept SHA-256 of image files: used again as long as nobody can have written to a file, and cheap to look at."""

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cl_bench.runtime.errors import UserError
from cl_bench.store import file_hashes

NAMES = ["a/1.png", "a/2.png", "b/1.png"]


class Problem(UserError):
    def __init__(self, path, text):
        super().__init__(f"{path} {text}")


@pytest.fixture
def images(tmp_path):
    for number, name in enumerate(NAMES):
        write(tmp_path / "images" / name, number)
    return tmp_path / "images"


def write(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([number]) * 100)


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read, in any order."""
    names, plain = [], file_hashes._sha256

    def spied(path, error):
        names.append(f"{path.parent.name}/{path.name}")
        return plain(path, error)

    monkeypatch.setattr(file_hashes, "_sha256", spied)
    return names


@pytest.fixture
def later(monkeypatch):
    """Three seconds later, but for the files that are written from now on."""
    time.sleep(0.02)  # the clock of a file system ticks every few milliseconds
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3_000_000_000)


def looked_at(images, names=NAMES, kept_in="kept"):
    folder = None if kept_in is None else images.parent / kept_in
    found = file_hashes.hashes(images, names, folder, Problem)
    assert found == [hashlib.sha256((images / name).read_bytes()).hexdigest() for name in names]
    return found


def in_place(path: Path):
    """As `cp -p` and rsync do: other content of the same size, under the same time."""
    before = path.stat()
    write(path, 9)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_renaming(path: Path):
    before = path.stat()
    write(path.with_name("new"), 9)
    os.utime(path.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("new").replace(path)


def by_swapping_folders(path: Path):
    for number in (1, 2):
        assert path.name == "1.png"
        (path.parent / f"{number}.png").rename(path.parent / f"{3 - number}.other")
    for number in (1, 2):
        (path.parent / f"{number}.other").rename(path.parent / f"{number}.png")


def by_another_link(path: Path):
    other = path.with_name("other")
    write(other, 9)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.unlink()
    path.symlink_to(other)


def test_files_are_read_once(images, read, later):
    first = looked_at(images)
    assert sorted(read) == sorted(NAMES)
    assert looked_at(images) == first and len(read) == 3


@pytest.mark.parametrize("change", [in_place, by_renaming, by_swapping_folders, by_another_link])
def test_a_file_with_another_content_is_read_again_whatever_its_size_and_time_say(images, read, later, change):
    first = looked_at(images)
    before = (images / "a/1.png").stat()
    change(images / "a/1.png")
    after = (images / "a/1.png").stat()
    if change is not by_swapping_folders:
        assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert looked_at(images) != first and set(read[3:]) <= {"a/1.png", "a/2.png"}


@pytest.mark.parametrize("field", range(5))  # size, mtime, ctime, inode; the hash
def test_all_that_a_folder_says_of_a_file_has_to_agree(images, read, later, field):
    looked_at(images)
    (path,) = (images.parent / "kept").rglob("*.json")
    kept = json.loads(path.read_bytes())
    status = (images / "a/1.png").stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    assert kept["files"]["a/1.png"][:4] == state
    kept["files"]["a/1.png"][field] = 1
    path.write_text(json.dumps(kept))
    looked_at(images)
    assert read[3:] == ["a/1.png"]


def test_a_file_that_was_just_written_is_not_trusted(images, read):
    looked_at(images)
    assert looked_at(images) and len(read) == 6
    assert not (images.parent / "kept").exists()


def test_a_file_that_changes_while_it_is_read_is_not_trusted(images, later, monkeypatch):
    plain = file_hashes._sha256

    def slow(path, error):
        found = plain(path, error)
        if path.parent.name == "b":
            in_place(path)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(file_hashes, "_sha256", slow)
        file_hashes.hashes(images, NAMES, images.parent / "kept", Problem)
    looked_at(images)


def test_lists_that_share_a_folder_share_what_is_kept_whatever_the_folder_is_called(images, read, later):
    looked_at(images, NAMES[:2])
    looked_at(images, NAMES[1:])
    (images.parent / "link").symlink_to(images)
    looked_at(images.parent / "link")
    assert sorted(read) == sorted(NAMES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: b"[1, 2]",
        lambda content: b"\xff\xfe",
        lambda content: content.replace(b'"schema": 1', b'"schema": 0'),
        lambda content: b'{"schema": 1, "files": {"a/1.png": 3, "a/2.png": [1, 2], "b/1.png": null}}',
    ],
)
def test_a_damaged_file_of_hashes_is_made_anew(images, read, later, damage):
    looked_at(images)
    (path,) = (images.parent / "kept").rglob("*.json")
    path.write_bytes(damage(path.read_bytes()))
    looked_at(images)
    assert looked_at(images) and len(read) == 6


def test_where_nothing_can_be_kept_files_are_read_each_time(images, read, later):
    (images.parent / "kept").write_text("a file")
    for kept_in in ("kept", "kept/below", None):
        looked_at(images, kept_in=kept_in)
    assert len(read) == 9


def test_missing_files_are_named_before_any_is_read_and_unreadable_ones_too(images, read):
    with pytest.raises(Problem, match=r"gone\.png is missing"):
        file_hashes.hashes(images, [*NAMES, "gone.png"], None, Problem)
    assert not read
    with pytest.raises(Problem, match=r"images/a cannot be read \(Is a directory\)"):
        file_hashes.hashes(images, ["a"], None, Problem)


def test_looking_costs_at_most_a_fiftieth_of_decoding(tmp_path, later):
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (28, 28, 3), dtype=np.uint8))
    names = [f"class_{i % 10}/image_{i:04d}.jpg" for i in range(500)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    coarse.resize((224, 224), Image.Resampling.BICUBIC).save(tmp_path / names[0], quality=90)
    for name in names[1:]:
        (tmp_path / name).write_bytes((tmp_path / names[0]).read_bytes())
    time.sleep(0.02)
    file_hashes.hashes(tmp_path, names, tmp_path / "kept", Problem)
    looking, decoding = [], []
    for _ in range(7):
        begin = time.perf_counter()
        file_hashes.hashes(tmp_path, names, tmp_path / "kept", Problem)
        looking.append((time.perf_counter() - begin) / len(names))
        begin = time.perf_counter()
        for name in names[:60]:
            np.array(Image.open(tmp_path / name).convert("RGB"))
        decoding.append((time.perf_counter() - begin) / 60)
    assert min(looking) <= 0.02 * min(decoding)
