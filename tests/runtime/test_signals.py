"""How commands end that are told to stop, by real signals to real processes; nothing of them stays."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from cl_bench.runtime import signals
from tests.conftest import ROOT, SHORT

LONG = (*SHORT, "optim.epochs=100000", "lightning.limit_train_batches=null")
WORDS = {signal.SIGTERM: "Terminated", signal.SIGINT: "Interrupted"}
AGAIN = "The same command goes on from there."
LINES = {number: f"{word}. What was finished is kept; run the same again to go on.\n" for number, word in WORDS.items()}
READY = "with process.command():\n    print('ready', flush=True)\n"
WAITING = f"import time; from cl_bench.runtime import process\n{READY}"


def wait_until(due):
    last = time.monotonic() + 100
    while not due():
        assert time.monotonic() < last
        time.sleep(0.02)


def processes_of(folder):
    """Processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def is_training(folder):
    return lambda: list(folder.glob("store/streams/*/task_000.lock"))


def begun(*command, **options):
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    # A suite that runs in the background of a shell ignores Ctrl-C, and hands that on.
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


@pytest.mark.parametrize("number", LINES)
@pytest.mark.parametrize(
    "waits",
    [
        "    time.sleep(60)",
        "    try: time.sleep(60)\n    except Exception: pass",
        "    try: time.sleep(60)\n    finally: raise ValueError('what a signal breaks')",
    ],
)
def test_a_signal_gives_its_code_and_one_line_and_a_second_one_nothing_more(number, waits):
    process = begun(sys.executable, "-c", WAITING + waits)
    process.stdout.readline()
    process.send_signal(number)
    process.send_signal(number)
    assert (process.communicate(timeout=20)[1], process.returncode) == (LINES[number], 128 + number)


def test_a_command_that_waits_within_a_library_is_ended():
    waits = """    import ctypes
    from cl_bench.runtime import signals
    signals._PATIENCE, lock, library = 0.2, (ctypes.c_char * 64)(), ctypes.CDLL(None)
    while True: library.pthread_mutex_lock(lock)"""
    process = begun(sys.executable, "-c", WAITING + waits)
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert (process.communicate(timeout=20)[1], process.returncode) == (LINES[signal.SIGTERM], 143)


HELD = """    import os, signal
    from cl_bench.runtime import signals
    {before}
    signals.hold()
    os.kill(os.getpid(), signal.{name})
    print('held', signals.waiting(), flush=True)
    signals.release()
    print('not reached', flush=True)"""


@pytest.mark.parametrize(
    ("name", "before", "code", "line"),
    [
        ("SIGTERM", "", 143, LINES[signal.SIGTERM]),
        ("SIGTERM", "signals.tell(lambda: '1 of 2 tasks')", 143, f"Terminated. Kept: 1 of 2 tasks. {AGAIN}\n"),
        ("SIGTERM", "signals.tell(lambda: '1 of 2 tasks', sweep=True); signals.tell(None)", 143, LINES[signal.SIGTERM]),
        ("SIGUSR2", "signal.signal(signal.SIGUSR2, lambda *_: os._exit(7)); signals.let_library_wait(12)", 7, ""),
        ("SIGUSR2", "signal.signal(12, lambda *_: exit(7)); signals.let_library_wait(12)", 7, ""),
    ],
)
def test_a_signal_that_is_held_back_acts_when_it_is_released(name, before, code, line):
    process = begun(sys.executable, "-c", WAITING + HELD.format(name=name, before=before))
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, line)
    assert out == ("ready\n" if "os._exit" in before else "ready\nheld True\n")


def test_a_signal_that_no_library_handles_is_left_alone():
    before = signal.getsignal(signal.SIGUSR2)
    signals.let_library_wait(signal.SIGUSR2)
    assert signal.getsignal(signal.SIGUSR2) is before is signal.SIG_DFL


@pytest.mark.parametrize("command", [("run.py",), ("-m", "cl_bench.reports", "page", "x"), ("-m", "cl_bench.merge")])
def test_ctrl_c_during_imports(command):
    process = begun(sys.executable, *command)
    time.sleep(0.25)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)[1]
    # Python drops what is raised in some imports; the run then begins, and is ended by the watchdog.
    assert told in (LINES[signal.SIGINT], f"Interrupted. Kept: 0 of 5 tasks. {AGAIN}\n") and process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGTERM, ("hydra.run.dir=run",)),
        (signal.SIGINT, ("hydra.run.dir=run", "lightning.devices=2")),
        (signal.SIGTERM, ("-m", "seed=1,2", "hydra.sweep.dir=run")),
    ],
)
def test_a_run_that_is_told_to_stop(begin_run_py, tmp_path, number, options):
    run = begin_run_py(*options, *LONG)
    wait_until(is_training(tmp_path))
    time.sleep(0.5)
    os.kill(run.pid, number)
    done = run.completed()
    others = "the runs that ended, and of this one " if "-m" in options else ""
    line = rf"{WORDS[number]}\. Kept: {others}0 of 2 tasks, and (\d+) of 1100000 steps of task 1\. {AGAIN}\n"
    assert done.returncode == 128 + number and (told := re.fullmatch(line, done.stderr)), done.stderr
    (checkpoint,) = tmp_path.glob("store/streams/*/task_000.partial.safetensors")
    assert int(load_file(checkpoint)["step"]) == int(told[1]) > 0
    assert not list(tmp_path.glob("run/**/result.json")) and not list(tmp_path.glob("multirun/.unfinished*"))
    wait_until(lambda: not processes_of(tmp_path))


@pytest.mark.slow
def test_each_job_of_a_sweep_that_is_told_to_stop_keeps_its_steps(begin_run_py, tmp_path):
    sweep = ("-m", "seed=1,2", "hydra.sweep.dir=run", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    run = begin_run_py(*sweep, *LONG, "lightning.checkpoint_steps=50")
    checkpoints = "store/streams/*/task_000.partial.safetensors"
    wait_until(lambda: len(list(tmp_path.glob(checkpoints))) == 2)
    os.kill(run.pid, signal.SIGTERM)
    done = run.completed()
    assert (done.returncode, done.stderr) == (143, LINES[signal.SIGTERM])
    steps = [int(load_file(path)["step"]) for path in tmp_path.glob(checkpoints)]
    assert min(steps) >= 50 and any(step % 50 for step in steps), steps
    wait_until(lambda: not processes_of(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("lightning.devices=2",),
        ("-m", "seed=1,2", "hydra.sweep.dir=run", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    ],
)
def test_workers_end_with_their_parent(begin_run_py, tmp_path, options):
    run = begin_run_py(*options, *LONG)
    wait_until(is_training(tmp_path))
    os.kill(run.pid, signal.SIGKILL)
    wait_until(lambda: len(processes_of(tmp_path)) == 0)
