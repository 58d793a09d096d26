"""Downloads from a server on this machine that does everything wrong that a server can do.

Over 300 lines: every case plays against the same server and the same made-up release.
"""

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from http import HTTPStatus

import pytest

from cl_bench.datasets.releases import download as module
from cl_bench.datasets.releases.download import download, state
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.runtime.errors import UserError
from tests.helpers.loopback_server import serving

LARGE = random.Random(0).randbytes(3_000_000)  # more than the pieces in which it is fetched


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


BIRDS = zipped({"birds/1.jpg": LARGE, "birds/list.txt": b"list"})


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


def make_release(*archives, **changes):
    fields = {"classes": 2, "train": 1, "test": 1, "size": len(BIRDS)}
    return Release("birds", "Birds of the Loopback", "birds", **{**fields, **changes}, archives=archives)


MD5 = md5(BIRDS)


def birds(server, *paths, checksum=MD5):
    """A data set of one archive, with these paths as its mirrors."""
    return make_release(Archive("birds.zip", tuple(server.url + path for path in paths), checksum))


def part_of(root, content):
    """Leaves a part, as a call leaves it that was stopped."""
    folder = root / "downloads" / "birds"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "birds.zipabcdefgh.part").write_bytes(content)


def in_transit(root):
    return sorted(os.listdir(root / "downloads" / "birds"))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def no_patience(monkeypatch):
    monkeypatch.setattr(module, "_RETRIES", 0)


def assert_is_there(root):
    assert (root / "birds" / "1.jpg").read_bytes() == LARGE
    assert (root / "birds" / "list.txt").read_bytes() == b"list"


@pytest.mark.parametrize(
    "checksum", [MD5, f"sha256:{hashlib.sha256(BIRDS).hexdigest()}", ""], ids=["md5", "sha256", "none"]
)
def test_fetched_checked_unpacked_and_then_left_alone(tmp_path, capsys, checksum):
    with serving({"/birds.zip": BIRDS}) as server:
        release = birds(server, "/birds.zip", checksum=checksum)
        assert state(release, tmp_path) == "no"
        assert download(release, tmp_path) is True
        assert_is_there(tmp_path)
        assert state(release, tmp_path) == "yes"
        assert in_transit(tmp_path) == ["birds.zip.done"]
        assert "fetching birds.zip from 127.0.0.1" in capsys.readouterr().out
        assert download(release, tmp_path) is False
        assert server.requests == [("/birds.zip", None)]


def test_an_archive_within_an_archive(tmp_path, capsys):
    outer = zipped({"pack/birds.zip": BIRDS, "pack/other.zip": zipped({"other/1.jpg": b"other"})})
    with serving({"/outer.zip": outer}) as server:
        url = (f"{server.url}/outer.zip",)
        download(make_release(Archive("outer.zip", url, md5(outer), inside="pack/birds.zip")), tmp_path)
        assert_is_there(tmp_path)
        assert sorted(os.listdir(tmp_path)) == ["birds", "downloads"] and in_transit(tmp_path) == ["outer.zip.done"]
        lacking = make_release(Archive("outer.zip", url, md5(outer), into="again", inside="pack/wrens.zip"))
        (tmp_path / "downloads/birds/outer.zip.done").unlink()
        with pytest.raises(UserError, match=r"outer\.zip has no pack/wrens\.zip"):
            download(lacking, tmp_path)
    assert in_transit(tmp_path) == []


def test_a_file_that_is_no_archive_is_laid_where_it_belongs(tmp_path):
    with serving({"/labels.mat": b"labels"}) as server:
        archive = Archive("labels.mat", (f"{server.url}/labels.mat",), md5(b"labels"), into="birds/labels")
        download(make_release(archive), tmp_path)
    file = tmp_path / "birds" / "labels" / "labels.mat"
    assert file.read_bytes() == b"labels" and in_transit(tmp_path) == ["labels.mat.done"]
    (tmp_path / "new").touch()
    assert file.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_the_next_mirror_takes_over_and_one_line_says_why(tmp_path, capsys):
    files = {"/wrong.zip": BIRDS[:-1] + b"x", "/page": b"<html>", "/good.zip": BIRDS}
    with serving(files) as server:
        download(birds(server, "/gone.zip", "/wrong.zip", "/page", "/good.zip"), tmp_path)
    assert_is_there(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    host = server.url.removeprefix("http://")
    reasons = [line for line in lines if line.startswith(f"  {host}: ")]
    assert len(reasons) == 3
    assert "404" in reasons[0] and md5(files["/wrong.zip"]) in reasons[1] and md5(b"<html>") in reasons[2]


def test_without_a_checksum_a_page_is_still_no_archive(tmp_path, capsys):
    with serving({"/page": b"<html>Sign in", "/good.zip": BIRDS}) as server:
        download(birds(server, "/page", "/good.zip", checksum=""), tmp_path)
    assert_is_there(tmp_path)
    assert "damaged, or no archive" in capsys.readouterr().out


def test_no_mirror_is_right(tmp_path):
    wrong = BIRDS[:-1] + b"x"
    with serving({"/a.zip": wrong, "/b.zip": b"short"}) as server:
        release = birds(server, "/a.zip", "/b.zip")
        with pytest.raises(UserError, match=r"birds\.zip could not be fetched") as caught:
            download(release, tmp_path)
    message = str(caught.value)
    assert message.count(MD5) == 2 and md5(wrong) in message and md5(b"short") in message
    assert f"{server.url}/a.zip" in message and str(tmp_path / "downloads" / "birds") in message
    assert in_transit(tmp_path) == [] and not (tmp_path / "birds").exists()
    assert state(release, tmp_path) == "no"


@pytest.mark.parametrize("checksum", [True, False])
def test_an_archive_that_would_leave_its_folder(tmp_path, checksum):
    evil = zipped({"birds/1.jpg": b"good", "../../evil.txt": b"evil"})
    root = tmp_path / "some" / "root"
    message = r"birds\.zip is not safe to unpack.*'\.\./\.\./evil\.txt'"
    with serving({"/evil.zip": evil}) as server, pytest.raises(UserError, match=message):
        download(birds(server, "/evil.zip", checksum=md5(evil) if checksum else ""), root)
    assert in_transit(root) == [] and not (root / "birds").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_broken_transfer_goes_on_where_it_broke(tmp_path):
    with serving({"/birds.zip": BIRDS}, troubles={"/birds.zip": [1_200_000]}) as server:
        download(birds(server, "/birds.zip"), tmp_path)
    assert_is_there(tmp_path)
    first, second = server.asked_for("/birds.zip")
    assert first is None and 500_000 < start(second) <= 1_200_000


def start(part):
    return int(part.removeprefix("bytes=").removesuffix("-"))


def test_a_line_that_breaks_often_is_enough_as_long_as_something_arrives(tmp_path, no_patience):
    # After the first break: one request whether it can go on, one for the size, one for the rest; and so again.
    troubles = [600_000, *(0, 0, 600_000), *(0, 0, 600_000)]
    with serving({"/birds.zip": BIRDS}, troubles={"/birds.zip": troubles}) as server:
        download(birds(server, "/birds.zip"), tmp_path)
    assert_is_there(tmp_path)
    starts = sorted({start(part) for part in server.asked_for("/birds.zip") if part})
    assert len(starts) == 3 and starts[-1] > 1_500_000


def test_what_a_failed_call_got_is_continued_by_the_next(tmp_path, no_patience):
    busy = HTTPStatus.SERVICE_UNAVAILABLE
    with serving({"/birds.zip": BIRDS}, troubles={"/birds.zip": [1_200_000, busy, busy]}) as server:
        release = birds(server, "/birds.zip")
        with pytest.raises(UserError, match=r"503.*\nRun the same again later: it goes on"):
            download(release, tmp_path)
        assert state(release, tmp_path) == "partly"
        server.requests.clear()
        download(release, tmp_path)
        parts = [part for part in server.asked_for("/birds.zip") if part]
        assert parts and all(start(part) > 500_000 for part in parts)
    assert_is_there(tmp_path)


def test_a_server_that_cannot_go_on_is_asked_for_the_whole(tmp_path):
    part_of(tmp_path, BIRDS[:1_000_000])
    with serving({"/birds.zip": BIRDS}, ranges=False) as server:
        download(birds(server, "/birds.zip"), tmp_path)
    assert_is_there(tmp_path)


def test_a_server_that_cannot_go_on_and_always_breaks_is_given_up(tmp_path, no_patience):
    troubles = [1_200_000] * 100
    with serving({"/birds.zip": BIRDS}, ranges=False, troubles={"/birds.zip": troubles}) as server:
        with pytest.raises(UserError, match="incomplete"):
            download(birds(server, "/birds.zip"), tmp_path)
        assert len(server.requests) < 6


@pytest.mark.parametrize("length", [len(BIRDS), len(BIRDS) + 1000])
def test_a_part_that_is_no_part(tmp_path, length):
    """Stopped after the last byte and before the file got its name; or the part of a longer file."""
    part_of(tmp_path, BIRDS.ljust(length))
    with serving({"/birds.zip": BIRDS}) as server:
        download(birds(server, "/birds.zip"), tmp_path)
    assert_is_there(tmp_path)


@pytest.mark.parametrize("checksum", [MD5, ""], ids=["md5", "none"])
def test_a_part_of_another_file_costs_one_more_try(tmp_path, capsys, checksum):
    part_of(tmp_path, b"x" * 1_000_000)
    with serving({"/birds.zip": BIRDS}) as server:
        download(birds(server, "/birds.zip", checksum=checksum), tmp_path)
    assert_is_there(tmp_path)
    assert "from the start" in capsys.readouterr().out


DOWNLOAD = """
import sys
from pathlib import Path
from cl_bench.datasets.releases.download import download
from cl_bench.datasets.releases.release import Archive, Release

url, checksum, root = sys.argv[1:]
archive = Archive("birds.zip", (url,), checksum)
download(Release("birds", "Birds", "birds", 2, 1, 1, 1, (archive,)), Path(root))
"""


def start_download(server, root):
    return subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD, f"{server.url}/birds.zip", MD5, str(root)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(root / "home")},
    )  # fmt: skip


def test_killed_in_the_middle_and_continued_by_a_new_process(tmp_path):
    with serving({"/birds.zip": BIRDS}, troubles={"/birds.zip": [1_200_000]}, hangs=True) as server:
        release = birds(server, "/birds.zip")
        process = start_download(server, tmp_path)
        wait_until(lambda: module._arrived(tmp_path / "downloads" / "birds" / "birds.zip") > 500_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert state(release, tmp_path) == "partly" and not (tmp_path / "birds").exists()

        process = start_download(server, tmp_path)
        assert (process.communicate()[1], process.returncode) == ("", 0)
        parts = [part for part in server.asked_for("/birds.zip") if part]
        assert parts and all(start(part) > 500_000 for part in parts)
    assert_is_there(tmp_path)
    assert state(release, tmp_path) == "yes"


def test_cookies_that_lie_about_are_not_sent(tmp_path):
    file = tmp_path / "home" / ".cache" / "gdown" / "cookies.txt"
    file.parent.mkdir(parents=True)
    file.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tsecret\n")
    with serving({"/birds.zip": BIRDS}) as server:
        start_download(server, tmp_path).communicate()
        assert len(server.requests) == 1 and server.cookies == []


def wait_until(condition):
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path):
    with serving({"/birds.zip": BIRDS}, seconds=1.5) as server:
        processes = [start_download(server, tmp_path) for _ in range(2)]
        outputs = sorted((process.communicate()[0], process.returncode) for process in processes)
        assert [code for _, code in outputs] == [0, 0]
        assert sum("another process is fetching it" in text for text, _ in outputs) == 1
        assert server.requests == [("/birds.zip", None)]
    assert_is_there(tmp_path)


def two_archives(server):
    archives = [
        Archive(f"{name}.zip", (f"{server.url}/{name}.zip",), md5(server.files[f"/{name}.zip"]), into="birds")
        for name in ("first", "second")
    ]
    return make_release(*archives)


TWO = {"/first.zip": zipped({"first/1.jpg": b"1"}), "/second.zip": zipped({"second/2.jpg": b"2"})}


def test_only_what_is_missing_is_fetched(tmp_path):
    with serving(dict(TWO)) as server:
        release = two_archives(server)
        download(release, tmp_path)
        (tmp_path / "birds" / "first" / "1.jpg").unlink()
        (tmp_path / "birds" / "first").rmdir()
        assert state(release, tmp_path) == "partly"
        server.requests.clear()
        download(release, tmp_path)
        assert server.requests == [("/first.zip", None)]
        assert (tmp_path / "birds" / "first" / "1.jpg").read_bytes() == b"1"

        changed = replace(release, archives=(release.archives[0], replace(release.archives[1], checksum="md5:new")))
        assert state(changed, tmp_path) == "partly"


def test_a_damaged_note_is_none(tmp_path):
    with serving({"/birds.zip": BIRDS}) as server:
        release = birds(server, "/birds.zip")
        download(release, tmp_path)
        (tmp_path / "downloads" / "birds" / "birds.zip.done").write_bytes(b"")
        assert download(release, tmp_path) is True
    assert state(release, tmp_path) == "yes"
    assert_is_there(tmp_path)


def test_what_came_before_a_failure_is_kept(tmp_path):
    with serving(dict(TWO)) as server:
        release = two_archives(server)
        del server.files["/second.zip"]
        with pytest.raises(UserError, match="404"):
            download(release, tmp_path)
        assert state(release, tmp_path) == "partly"
        server.files.update(TWO)
        server.requests.clear()
        download(release, tmp_path)
        assert server.asked_for("/first.zip") == []
    assert state(release, tmp_path) == "yes"


def test_a_file_laid_there_by_hand_is_used(tmp_path):
    with serving({}) as server:
        release = birds(server, "/gone.zip")
        with pytest.raises(UserError, match="lay it into") as caught:
            download(release, tmp_path)
        folder = tmp_path / "downloads" / "birds"
        assert f"lay it into {folder}," in str(caught.value)
        (folder / "birds.zip").write_bytes(BIRDS)
        server.requests.clear()
        download(release, tmp_path)
        assert server.requests == []
    assert_is_there(tmp_path)


def test_a_wrong_file_laid_there_by_hand_is_replaced(tmp_path, capsys):
    folder = tmp_path / "downloads" / "birds"
    folder.mkdir(parents=True)
    (folder / "birds.zip").write_bytes(b"<html>")
    with serving({"/birds.zip": BIRDS}) as server:
        download(birds(server, "/birds.zip"), tmp_path)
    assert_is_there(tmp_path)
    assert "fetching it anew" in capsys.readouterr().out


def test_a_folder_filled_by_other_means_counts_as_there(tmp_path):
    release = make_release(by_hand="Ask the authors.")
    assert state(release, tmp_path) == "no"
    (tmp_path / "birds").mkdir()
    assert state(release, tmp_path) == "no"
    (tmp_path / "birds" / "1.jpg").write_bytes(b"1")
    assert state(release, tmp_path) == "yes"


@pytest.mark.parametrize("archives", [(), (Archive("birds.zip", ("http://127.0.0.1:9/birds.zip",)),)])
def test_by_hand(tmp_path, archives):
    release = make_release(*archives, by_hand="Ask for it at the nest, and unpack birds.zip.")
    with pytest.raises(UserError, match=r"(?s)by hand.*at the nest.*verify birds --data-dir") as caught:
        download(release, tmp_path)
    assert str(tmp_path / "birds") in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    folder = tmp_path / "downloads" / "birds"
    folder.mkdir(parents=True)
    (folder / "birds.zipabcdefgh.part").symlink_to("/dev/full")  # where every write fails as on a full disk
    message = r"the disk is full; there are 3\.0 MB to fetch.*\nRun the same again"
    with serving({"/birds.zip": BIRDS}) as server, pytest.raises(UserError, match=message):
        download(birds(server, "/birds.zip"), tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "root").write_text("a file")
    with serving({"/birds.zip": BIRDS}) as server:
        with pytest.raises(UserError, match=r"birds could not be written below .*root: .*Not a directory"):
            download(birds(server, "/birds.zip"), tmp_path / "root")
        assert server.requests == []


def test_a_file_in_the_way_does_not_cost_the_archive(tmp_path):
    (tmp_path / "birds").write_text("a file of that name")
    with serving({"/birds.zip": BIRDS}) as server:
        release = birds(server, "/birds.zip")
        with pytest.raises(UserError, match="birds is in the way"):
            download(release, tmp_path)
        (tmp_path / "birds").unlink()
        download(release, tmp_path)
        assert len(server.requests) == 1
    assert_is_there(tmp_path)
