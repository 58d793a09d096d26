"""The command line, as another process runs it."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from tests.helpers.cpu_seconds import cpu_seconds_of_children
from tests.helpers.loopback_server import serving
from tests.helpers.made_up_release import FILES, write_images, write_module

# The real command line, with a folder more in which data sets are looked for.
MAIN = """
import sys
from cl_bench import datasets
datasets.__path__.append(sys.argv.pop(1))
from cl_bench.datasets.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def modules(tmp_path):
    return write_module(tmp_path / "modules")


@pytest.fixture
def command(tmp_path, modules):
    """Runs `python -m cl_bench.datasets …`, with the made-up data sets beside the real ones."""

    def command(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-c", MAIN, str(modules), *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, env={**os.environ, "no_proxy": "127.0.0.1"},
        )  # fmt: skip

    return command


def run_module(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "cl_bench.datasets", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def assert_fails(result, *words):
    """One message, no traceback, exit code 2."""
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ") and "Traceback" not in result.stderr
    for word in words:
        assert str(word) in result.stderr


def rows(result):
    return {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_the_list_of_all(tmp_path, arguments):
    before = cpu_seconds_of_children()
    result = run_module(*arguments, cwd=tmp_path)
    assert cpu_seconds_of_children() - before < 3
    assert (result.returncode, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert "Data sets in data" in result.stdout
    row = " ".join(rows(result)["cifar100"])
    assert row == "cifar100 100 50,000 / 10,000 169.0 MB cifar-100-python no"
    assert os.listdir(tmp_path) == []


def test_the_list_says_what_is_there_and_prepared(tmp_path, command):
    assert rows(command())["birds"][-2:] == ["birds", "no"]
    write_images(tmp_path / "data" / "birds")
    (tmp_path / "data" / "birds" / FILES[0]).write_bytes(b"no image: it is not opened")
    assert rows(command())["birds"][-1] == "yes"
    write_images(tmp_path / "data" / "birds")
    assert command("prepare", "birds", "--size", "32").returncode == 0
    assert rows(command())["birds"][-2:] == ["yes", "32"]


def test_the_folder_may_be_named_before_and_after_the_command(tmp_path, command):
    write_images(tmp_path / "elsewhere" / "birds")
    for arguments in (
        ["--data-dir", "elsewhere", "list"],
        ["list", "--data-dir", "elsewhere"],
        ["--data-dir=elsewhere"],
    ):
        result = command(*arguments)
        assert rows(result)["birds"][-1] == "yes" and "Data sets in elsewhere" in result.stdout
    result = command("--data-dir", "elsewhere", "prepare", "all", "--prepared-dir", "cache")
    assert (result.returncode, result.stdout) == (0, "birds: prepared at 224 pixels in cache.\n")
    assert (tmp_path / "cache").is_dir() and not (tmp_path / "elsewhere" / "prepared").exists()


def test_verify(tmp_path, command):
    write_images(tmp_path / "data" / "birds")
    result = command("verify", "birds")
    assert (result.returncode, result.stderr) == (0, "")
    assert "birds: matches the published sizes" in result.stdout

    (tmp_path / "data" / "birds" / FILES[0]).unlink()
    result = command("verify", "birds")
    assert (result.returncode, result.stderr) == (2, "")
    assert "birds: train: 2 images instead of 3" in result.stdout and "matches" not in result.stdout


def test_what_is_missing_is_named_with_path_and_remedy(tmp_path, command):
    for what in ("verify", "prepare"):
        assert_fails(
            command(what, "birds", "--data-dir", "my_data"),
            "Birds of the Loopback", "my_data/birds is missing",
            "python -m cl_bench.datasets download birds --data-dir my_data",
        )  # fmt: skip
    assert not (tmp_path / "my_data").exists()


@pytest.mark.parametrize("what", ["download", "verify", "prepare"])
def test_unknown_names(tmp_path, what):
    assert_fails(
        run_module(what, "cifar10", "cfar100", cwd=tmp_path), "'cfar100'. Did you mean cifar100?", "There are: "
    )
    assert os.listdir(tmp_path) == []


def test_one_failure_does_not_keep_the_others_from_theirs(tmp_path, modules, command):
    write_module(modules, "missing")
    write_images(tmp_path / "data" / "birds")
    result = command("verify", "missing", "birds")
    assert_fails(result, "data/missing is missing")
    assert "birds: matches the published sizes" in result.stdout
    result = command("verify", "birds", "missing")
    assert_fails(result, "data/missing is missing")


def test_all_means_those_that_are_there(tmp_path, command):
    for what in ("verify", "prepare"):
        assert_fails(command(what, "all"), "no data set in data", "download NAME --data-dir data")
    write_images(tmp_path / "data" / "birds")
    result = command("verify", "all")
    assert result.returncode == 0 and "birds: matches" in result.stdout and "cifar100" not in result.stdout


def test_a_data_set_by_hand(tmp_path, modules, command):
    write_module(modules, by_hand="Ask for it at the nest.")
    assert rows(command())["birds"][-5:] == ["1.5", "MB", "*", "birds", "no"]
    assert_fails(command("download", "birds"), "by hand", "Ask for it at the nest.", "belongs in data/birds")
    write_images(tmp_path / "data" / "birds")
    result = command("download", "birds")
    assert (result.returncode, result.stderr) == (0, "")
    assert "is there already" in result.stdout


def zip_of_images(tmp_path):
    write_images(tmp_path / "made")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in FILES:
            archive.write(tmp_path / "made" / file, f"birds/{file}")
    return buffer.getvalue()


def archive_of(content, *urls):
    return f'Archive("birds.zip", {urls}, "md5:{hashlib.md5(content).hexdigest()}"),'


def test_download_verify_and_download_again(tmp_path, modules, command):
    content = zip_of_images(tmp_path)
    with serving({"/birds.zip": content}) as server:
        write_module(modules, archives=archive_of(content, f"{server.url}/gone.zip", f"{server.url}/birds.zip"))
        result = command("download", "birds")
        assert (result.returncode, result.stderr) == (0, "")
        assert "404" in result.stdout and "birds: unpacked in data/birds" in result.stdout
        assert command("verify", "birds").returncode == 0

        server.requests.clear()
        result = command("download", "birds")
        assert result.returncode == 0 and "is there already" in result.stdout

        (tmp_path / "data" / "birds" / FILES[0]).write_bytes(b"")
        assert_fails(command("download", "birds"), "missing or empty: 1: data/birds/train/a0.png", "remove that folder")
        assert server.requests == []


def test_a_folder_filled_by_hand_and_not_whole_is_filled_up(tmp_path, modules, command):
    content = zip_of_images(tmp_path)
    (tmp_path / "data" / "birds").mkdir(parents=True)
    (tmp_path / "data" / "birds" / "mine.txt").write_text("mine")
    with serving({"/birds.zip": content}) as server:
        write_module(modules, archives=archive_of(content, f"{server.url}/birds.zip"))
        assert command("download", "birds").returncode == 0
    assert command("verify", "birds").returncode == 0
    assert (tmp_path / "data" / "birds" / "mine.txt").read_text() == "mine"


def test_download_of_a_wrong_file(tmp_path, modules, command):
    content = zip_of_images(tmp_path)
    with serving({"/birds.zip": b"<html>"}) as server:
        write_module(modules, archives=archive_of(content, f"{server.url}/birds.zip"))
        result = command("download", "birds")
    expected, found = (hashlib.md5(data).hexdigest() for data in (content, b"<html>"))
    assert_fails(result, "birds.zip could not be fetched", expected, found, f"{server.url}/birds.zip")
    assert not (tmp_path / "data" / "birds").exists()


def test_ctrl_c(tmp_path, modules):
    content = zip_of_images(tmp_path)
    with serving({"/birds.zip": content}, troubles={"/birds.zip": [100]}, hangs=True) as server:
        write_module(modules, archives=archive_of(content, f"{server.url}/birds.zip"))
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(modules), "download", "birds"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # A suite that runs in the background of a shell ignores Ctrl-C, and hands that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        while not server.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.startswith("Interrupted.") and errors.count("\n") == 1


def test_the_command_line_explains_itself(tmp_path):
    result = run_module("--help", cwd=tmp_path)
    assert result.returncode == 0 and all(what in result.stdout for what in ("list", "download", "prepare", "verify"))
    assert run_module("download", cwd=tmp_path).returncode == 2
    result = run_module("prepare", "cifar10", "--size", "0", cwd=tmp_path)
    assert result.returncode == 2 and "invalid pixels value: '0'" in result.stderr
