"""`cl_bench.run`, as a notebook calls it."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

import cl_bench
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.slow

MERGER = """
import os, signal
from cl_bench.mergers import Average

class Mine(Average):
    pass

class Interrupted(Average):
    def combine(self, state, block):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("was not interrupted")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, from which Python imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def written(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("outputs/*/*/result.json"))]


def test_two_runs_in_one_process_give_what_result_json_holds_with_arrays_and_share_the_store(folder, capsys):
    first = cl_bench.run(SHORT)
    assert capsys.readouterr().out == ""
    second = cl_bench.run([*SHORT, "merger=ties", "evaluation=final"], show=True)
    shown = capsys.readouterr().out
    assert "sequential + ties" in shown and "2 of 2 tasks reused" in shown and "written: outputs/" in shown
    one, other = written(folder)
    assert first["choices"] == one["choices"] and second["accuracy"] == other["accuracy"]
    for kind in ("task_agnostic", "task_aware"):
        assert isinstance(first["matrix"][kind], np.ndarray) and first["matrix"][kind].shape == (3, 2)
        assert first["matrix"][kind].tolist() == one["matrix"][kind]
        assert first["finetuned"]["matrix"][kind].tolist() == one["finetuned"]["matrix"][kind]
        assert np.isnan(second["matrix"][kind][1]).all() and not np.isnan(second["matrix"][kind][[0, 2]]).any()
        assert other["matrix"][kind][1] == [None, None]
        assert first["accuracy_after_task"][kind].shape == (3,)
    assert [task["reused"] for task in second["training"]] == [True, True]
    (log, _) = sorted(folder.glob("outputs/*/*/run.log"))
    assert "2 of 2" in log.read_text() and (log.parent / "matrix_merged.png").is_file()


def test_a_program_that_runs_finds_hydra_logging_signals_and_environment_as_they_were(folder):
    def state():
        handlers = [signal.getsignal(number) for number in signal.valid_signals()]
        loggers = [(tuple(log.handlers), log.level) for log in map(logging.getLogger, ("", "cl_bench", "hydra"))]
        return handlers, loggers, dict(os.environ), os.getcwd()

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        before, hydra = state(), GlobalHydra.instance().hydra
        cl_bench.run([*SHORT, "trainer=zero_shot"])
        with pytest.raises(UserError):
            cl_bench.run(["merger.scalng=1"])
        assert GlobalHydra.instance().hydra is hydra and state() == before
        assert compose("config", ["merger=ties"]).merger._target_ == "cl_bench.mergers.Ties"


def test_choices_of_ones_own_lie_in_a_folder(folder, request):
    (folder / "notebook_mergers.py").write_text(MERGER)
    for name in ("mine", "interrupted"):
        (folder / f"my_conf/merger/{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"my_conf/merger/{name}.yaml").write_text(f"_target_: notebook_mergers.{name.capitalize()}\n")
    assert cl_bench.run([*SHORT, "merger=mine"], config_dir="my_conf")["choices"]["merger"] == "mine"
    with pytest.raises(UserError, match=r"did you mean merger=mine\?\nChoices of merger: mine, "):
        cl_bench.run(["merger=minee"], config_dir=folder / "my_conf")
    with pytest.raises(UserError, match="merger=mine: there is no such choice"):
        cl_bench.run(["merger=mine"])
    handler = signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)  # a shell lets what it starts in the background ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run([*SHORT, "merger=interrupted"], config_dir="my_conf")
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["merger=tiess"], r"^merger=tiess: there is no such choice; did you mean merger=ties\?"),
        (["merger.scalng=1"], r"^There is no setting merger\.scalng; did you mean merger\.scaling=1\?"),
        (["optim.lr=fast"], r"^optim\.lr='fast' does not fit"),
        (
            ["merger.scaling=0.1,0.2"],
            r"call cl_bench\.run once for each\nOne run with a list: 'merger\.scaling=\[0\.1,0",
        ),
        (["task_order=-1"], r"^task_order=-1: "),
        (["merger=null"], r"^Hydra cannot compose merger=null"),
        (["-m", "seed=1,2"], r"^-m is an option of the command line"),
        ("merger=ties", r"^settings are a list: cl_bench\.run\(\['merger=ties'\]\)"),
        (["hydra.run.dir=/proc/nowhere"], r"^/proc/nowhere: .*No folder can be made there"),
    ],
)
def test_mistakes_are_user_errors_in_the_words_of_the_command_line(folder, capsys, settings, message):
    with pytest.raises(cl_bench.UserError, match=message) as caught:
        cl_bench.run(settings)
    assert not isinstance(caught.value.__cause__, HydraException)
    assert capsys.readouterr() == ("", "")


def test_a_folder_that_is_not_there_is_named(folder):
    with pytest.raises(UserError, match=r"^config_dir='my_conf': there is no such folder\.$"):
        cl_bench.run([], config_dir="my_conf")


def test_a_thread_may_run(folder):
    results = []
    thread = threading.Thread(target=lambda: results.append(cl_bench.run([*SHORT, "trainer=zero_shot"])))
    thread.start()
    thread.join()
    assert results[0]["choices"]["trainer"] == "zero_shot"


def test_the_import_is_light_and_a_script_needs_no_guard(tmp_path):
    script = (
        "import sys, logging, cl_bench\n"
        "assert not {'torch', 'hydra', 'numpy'} & sys.modules.keys()\n"
        f"print(cl_bench.run({[*SHORT, 'trainer=zero_shot']})['matrix']['task_aware'].shape)\n"
        "assert not logging.getLogger().handlers\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 2)\n", "")
