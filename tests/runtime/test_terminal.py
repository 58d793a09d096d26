"""Outputs that cannot be written, in every way, end no command."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, SHORT

SCRIPT = """
import logging, sys
from cl_bench.runtime import process
with process.command():
    for i in range(3):
        print("λ ┏ " + 9000 * "x", flush=True)
        print("Σ", file=sys.stderr, flush=True)
        logging.getLogger().warning("θ")
    open("done", "w").write("done")
    sys.exit(3)
"""


@pytest.mark.parametrize(
    ("shell", "environment"),
    [
        ('"$@"', {"PYTHONIOENCODING": "ascii"}),
        ('"$@"', {"PYTHONIOENCODING": "latin-1"}),
        ('"$@"', {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        ('"$@" > /dev/full', {}),
        ('"$@" > /dev/full 2> /dev/full', {}),
        ('"$@" >&-', {}),
        ('"$@" 2>&-', {}),
        ('"$@" >&- 2>&- <&-', {}),
        ('set -o pipefail; "$@" | true', {}),
        ('set -o pipefail; "$@" 2>&1 | head -n 1', {}),
    ],
)
def test_a_command_goes_on(tmp_path, shell, environment):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, "script.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3 and b"Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "done").read_text() == "done"  # not what was printed: its descriptor is not the terminal's


@pytest.mark.slow
def test_a_run_whose_terminal_is_gone_writes_its_result(tmp_path):
    run = [sys.executable, str(ROOT / "run.py"), *SHORT, "merger.scaling=[0.2,0.5]", "hydra.run.dir=run"]
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "bash", *run],
        cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert (tmp_path / "run/result.json").exists()
