"""Archives, sound and malicious ones.

Over 300 lines: the same attacks for each kind of archive.
"""

import gzip
import io
import os
import resource
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.datasets.releases.unpack import BadFile, is_archive, unpack
from cl_bench.runtime.errors import UserError

FILES = {"birds/a/1.jpg": b"first", "birds/b/2.jpg": b"second" * 1000, "list.txt": b""}
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
every_kind = pytest.mark.parametrize("suffix", SUFFIXES)


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            archive.writestr(info, content)


def write_tar(path, members):
    """Members are names with their content, or `TarInfo`."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for member in members.items() if isinstance(members, dict) else members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))


def write(path, files):
    (write_zip if path.suffix == ".zip" else write_tar)(path, files)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def content(folder):
    """All files below a folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if not path.is_dir()}


@every_kind
def test_files_and_names_of_the_top_level(tmp_path, suffix):
    archive = write(tmp_path / f"set{suffix}", FILES)
    shares = []
    entries = unpack(archive, tmp_path / "new" / "into", lambda done, total: shares.append(done / total))
    assert entries == ["birds", "list.txt"]
    assert content(tmp_path / "new") == {f"into/{name}": data for name, data in FILES.items()}
    assert shares == sorted(shares) and shares[-1] > 0.8 and max(shares) <= 1


@every_kind
def test_what_else_lies_in_the_folder_stays(tmp_path, suffix):
    into = tmp_path / "into"
    (into / "birds" / "a").mkdir(parents=True)
    (into / "other").write_text("other")
    (into / "birds" / "a" / "mine.txt").write_text("mine")
    (into / "birds" / "a" / "1.jpg").write_text("an old version")
    unpack(write(tmp_path / f"set{suffix}", FILES), into)
    assert content(into) == {**FILES, "other": b"other", "birds/a/mine.txt": b"mine"}


def test_a_folder_that_is_a_link_to_another_place_is_filled_there(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "into").symlink_to(tmp_path / "disk")
    unpack(write(tmp_path / "set.zip", FILES), tmp_path / "into")
    assert content(tmp_path / "disk") == FILES


@every_kind
@pytest.mark.parametrize("place", ["birds", "list.txt"])
def test_a_file_in_the_way_is_named_and_nothing_changes(tmp_path, suffix, place):
    into = tmp_path / "into"
    into.mkdir()
    if place == "birds":
        (into / "birds").write_text("a file")
    else:
        (into / "list.txt").mkdir()
        (into / "list.txt" / "inner").write_text("a file")
    before = content(into)
    with pytest.raises(UserError, match=f"{place} is in the way") as caught:
        unpack(write(tmp_path / f"set{suffix}", FILES), into)
    assert not isinstance(caught.value, BadFile)
    assert content(into) == before


NAMES_THAT_LEAVE = ["../evil", "a/../../evil", "/evil", "a/..", "..", "C:\\evil", "C:evil", "a\\..\\..\\evil", "\\evil"]


@every_kind
@pytest.mark.parametrize("name", NAMES_THAT_LEAVE)
def test_a_name_that_leaves_the_folder(tmp_path, suffix, name):
    archive = write(tmp_path / f"set{suffix}", {"good.txt": b"good", name: b"evil", "later.txt": b""})
    refused(archive, tmp_path, name)


def refused(archive, tmp_path, member):
    """Nothing is written, anywhere, and the message names archive and member."""
    with pytest.raises(BadFile, match="is not safe to unpack") as caught:
        unpack(archive, tmp_path / "deep" / "into")
    assert str(archive) in str(caught.value) and repr(member) in str(caught.value)
    assert list(content(tmp_path)) == [archive.name]
    assert not (tmp_path / "deep" / "into").exists()


UNSAFE_MEMBERS = {
    "link to an absolute path": [special("a", tarfile.SYMTYPE, "/etc")],
    "link above": [special("a", tarfile.SYMTYPE, "..")],
    "link above from a folder": [special("f/a", tarfile.SYMTYPE, "../../x")],
    "link above, around a corner": [special("f/a", tarfile.SYMTYPE, "g/../../..")],
    "link above on Windows": [special("f/a", tarfile.SYMTYPE, "..\\..\\x")],
    "link through a link": [special("f/up", tarfile.SYMTYPE, ".."), special("a", tarfile.SYMTYPE, "f/up/..")],
    "hard link above": [special("a", tarfile.LNKTYPE, "../x")],
    "hard link to an absolute path": [special("a", tarfile.LNKTYPE, "/etc/passwd")],
    "file below a link": [special("f", tarfile.SYMTYPE, "g"), ("f/a", b"evil")],
    "file below a link, first": [("f/a", b"evil"), special("f", tarfile.SYMTYPE, "g")],
    "file below a link, other case": [special("f", tarfile.SYMTYPE, "g"), ("F/a", b"evil")],
    "file below a link, deep": [special("f", tarfile.SYMTYPE, "g"), ("./f//b/a", b"evil")],
    "device": [special("a", tarfile.CHRTYPE)],
    "disk": [special("a", tarfile.BLKTYPE)],
    "pipe": [special("a", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", UNSAFE_MEMBERS.values(), ids=UNSAFE_MEMBERS)
@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_unsafe_members_of_a_tar(tmp_path, suffix, members):
    archive = tmp_path / f"set{suffix}"
    write_tar(archive, [("good.txt", b"good"), *members])
    guilty = [getattr(member, "name", member[0] if isinstance(member, tuple) else "") for member in members]
    guilty = next(name for name in guilty if name.endswith("a"))
    refused(archive, tmp_path, guilty)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_unsafe_members_of_a_zip(tmp_path, kind):
    info = zipfile.ZipInfo("a")
    info.external_attr = (kind | 0o777) << 16
    archive = tmp_path / "set.zip"
    write_zip(archive, {"good.txt": b"good", info: b"/etc"})
    refused(archive, tmp_path, "a")


def test_links_inside_are_kept(tmp_path):
    members = [
        ("f/file", b"content"),
        special("f/up", tarfile.SYMTYPE, "../f/file"),
        special("f/beside", tarfile.SYMTYPE, "file"),
        special("hard", tarfile.LNKTYPE, "f/file"),
        special("folder", tarfile.SYMTYPE, "f"),
    ]
    write_tar(tmp_path / "set.tar", members)
    unpack(tmp_path / "set.tar", tmp_path / "into")
    for name in ("f/up", "f/beside", "hard", "folder/file"):
        assert (tmp_path / "into" / name).read_bytes() == b"content", name


@pytest.mark.parametrize("has_filter", [True, False])
def test_rights_and_owner_are_the_users_own(tmp_path, has_filter, monkeypatch):
    if not has_filter:
        monkeypatch.delattr(tarfile, "data_filter")  # as in Python 3.10.11
    folder, file = special("f", tarfile.DIRTYPE), tarfile.TarInfo("f/file")
    folder.mode, file.mode = 0, 0o4777
    folder.uid = file.uid = 12345
    write_tar(tmp_path / "set.tar", [folder, file])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    unpack(tmp_path / "set.tar", tmp_path / "into")
    for there, mine in (("f", "."), ("f/file", "file")):
        found, expected = ((tmp_path / path).stat() for path in (f"into/{there}", f"mine/{mine}"))
        assert (found.st_mode, found.st_uid) == (expected.st_mode, expected.st_uid)


SMALL = {"f/a": bytes(range(256)), "f/b": b"second" * 100, "c": b"third"}
places = st.floats(0, 1, exclude_max=True)


def unpack_changed(tmp_path_factory, suffix, change):
    """What comes out of a changed archive; None if it is refused, in which case nothing may be there."""
    folder = tmp_path_factory.mktemp("try")
    archive = write(folder / f"set{suffix}", SMALL)
    archive.write_bytes(change(archive.read_bytes()))
    try:
        unpack(archive, folder / "into")
    except BadFile as error:
        assert str(archive) in str(error)
        assert os.listdir(folder) == [archive.name]
        return None
    return content(folder / "into")


@every_kind
@settings(max_examples=60, deadline=None)
@given(where=places)
def test_an_archive_that_was_cut_off(tmp_path_factory, suffix, where):
    lost = b""

    def cut(data):
        nonlocal lost
        lost = data[int(where * len(data)) :]
        return data[: len(data) - len(lost)]

    found = unpack_changed(tmp_path_factory, suffix, cut)
    only_padding = suffix == ".tar" and len(lost) <= 12 * 512  # of 20 blocks, 7 have members and 1 says: the end
    assert found is None or (only_padding and not any(lost) and found == SMALL)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@settings(max_examples=150, deadline=None)
@given(where=places, bits=st.integers(1, 255))
def test_no_wrong_byte_comes_out_of_a_damaged_archive(tmp_path_factory, suffix, where, bits):
    def damage(data):
        place = int(where * len(data))
        return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]

    found = unpack_changed(tmp_path_factory, suffix, damage)
    assert found is None or found.items() <= SMALL.items()


def test_a_zip_whose_table_of_contents_points_before_the_file(tmp_path):
    archive = write(tmp_path / "set.zip", SMALL)
    data = bytearray(archive.read_bytes())
    data[-5] ^= 4  # a byte of where the table begins
    archive.write_bytes(data)
    with pytest.raises(BadFile, match="is damaged"):
        unpack(archive, tmp_path / "into")


def test_a_damaged_header_in_the_middle_of_a_tar(tmp_path):
    write_tar(tmp_path / "set.tar", {"a": b"a", "b": b"b"})
    data = bytearray((tmp_path / "set.tar").read_bytes())
    data[1024] ^= 1  # the name in the second header, whose checksum is then wrong
    (tmp_path / "set.tar").write_bytes(data)
    with pytest.raises(BadFile, match=r"set\.tar is damaged.*breaks off"):
        unpack(tmp_path / "set.tar", tmp_path / "into")
    assert not (tmp_path / "into").exists()


@every_kind
def test_a_page_instead_of_an_archive(tmp_path, suffix):
    archive = tmp_path / f"set{suffix}"
    archive.write_text("<html>Too many users have viewed this file</html>" * 100)
    with pytest.raises(BadFile, match="is damaged, or no archive") as caught:
        unpack(archive, tmp_path / "into")
    assert "\n" not in str(caught.value)


@every_kind
def test_a_member_that_is_a_file_and_a_folder(tmp_path, suffix):
    archive = write(tmp_path / f"set{suffix}", {"a": b"", "a/b": b""})
    with pytest.raises(BadFile, match="is damaged"):
        unpack(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@every_kind
def test_a_write_that_fails_leaves_nothing(tmp_path, suffix):
    archive = write(tmp_path / f"set{suffix}", {"small": b"small", "large": b"large" * 100_000})
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "other").write_text("other")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the system refuses larger files, as a full disk would
    try:
        with pytest.raises(OSError, match="too large"):
            unpack(archive, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert content(tmp_path / "into") == {"other": b"other"}


UNPACK_AND_HANG = """
import sys, time
from pathlib import Path
from cl_bench.datasets.releases.unpack import unpack

def hang(done, total):
    if list(Path(sys.argv[2]).rglob("2.jpg")):
        print("unpacking", flush=True)
        time.sleep(60)

unpack(Path(sys.argv[1]), Path(sys.argv[2]), hang)
"""


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_after_a_kill_nothing_is_half_there_and_the_next_call_cleans_up(tmp_path, suffix):
    archive, into = write(tmp_path / f"set{suffix}", FILES), tmp_path / "into"
    process = subprocess.Popen(
        [sys.executable, "-c", UNPACK_AND_HANG, str(archive), str(into)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "unpacking\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [name for name in os.listdir(into) if not name.startswith(".")] == []
    unpack(archive, into)
    assert content(into) == FILES


def test_archives_are_known_by_their_names():
    assert all(is_archive(f"set{suffix}") for suffix in (*SUFFIXES, ".h5.gz"))
    assert not any(is_archive(name) for name in ("set.mat", "set.gz", "set.rar", "zip"))


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=100_000), share=st.floats(0, 0.99))
def test_one_compressed_file_is_written_under_its_name_or_refused(tmp_path_factory, data, share):
    folder = tmp_path_factory.mktemp("gzip")
    archive = folder / "patches.h5.gz"
    whole = gzip.compress(data)
    archive.write_bytes(whole)
    assert unpack(archive, folder / "into") == ["patches.h5"] and content(folder / "into") == {"patches.h5": data}
    archive.write_bytes(whole[: max(1, int(share * len(whole)))])
    with pytest.raises(BadFile, match=r"patches\.h5\.gz is damaged, or no archive"):
        unpack(archive, folder / "into")
    assert content(folder / "into") == {"patches.h5": data}
