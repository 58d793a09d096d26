"""How the process of a command is tuned, and what still happens when it ends."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPT = """
import atexit, os, sys, threading, time
from cl_bench.runtime import process

class Object:
    def __del__(self, write=os.write):
        write(1, b"taken apart\\n")

an_object = Object()
atexit.register(print, "atexit")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
with process.command():
    print("main")
    {end}
"""


def ended(end):
    script = SCRIPT.format(end=end)
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("end", "code"), [("pass", 0), ("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(2)", 2), ("sys.exit(True)", 1)]
)
def test_all_is_done_but_taking_apart(end, code):
    done = ended(end)
    assert (done.returncode, done.stdout, done.stderr) == (code, "main\nthread\natexit\n", "")


@pytest.mark.parametrize(("end", "told"), [("1 / 0", "ZeroDivisionError"), ("sys.exit('sorry')", "sorry")])
def test_exceptions_and_texts_end_as_ever(end, told):
    done = ended(end)
    assert done.returncode == 1 and told in done.stderr
    assert done.stdout == "main\nthread\natexit\ntaken apart\n"


def test_outputs_that_cannot_be_written_are_told_and_end_nothing():
    script = "from cl_bench.runtime import process\nwith process.command(): print('main')"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 0 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


@pytest.mark.parametrize("typed", [None, "5"])
def test_what_the_user_has_set_stays(typed):
    script = (
        "import gc, os; from cl_bench.runtime import process; process.tune(); "
        "print(os.environ['GOMP_SPINCOUNT'], os.environ['HYDRA_FULL_ERROR'], gc.isenabled(), gc.get_threshold()[0])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {"GOMP_SPINCOUNT": typed} if typed else {}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == f"{typed or 1000} 1 True 10000\n"


@pytest.mark.parametrize(("block", "spared"), [("process.command()", [True, False]), ("nullcontext()", [False, False])])
def test_what_a_command_has_imported_is_spared_once_and_what_a_notebook_holds_is_not(block, spared):
    script = (
        "import gc; from contextlib import nullcontext; from cl_bench.runtime import process\n"
        f"with {block}:\n"
        "    for _ in range(2):\n"
        "        before = gc.get_freeze_count(); process.spare_imports(); print(gc.get_freeze_count() > before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [str(each) for each in spared]
