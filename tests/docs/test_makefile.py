"""The Makefile's own promises: whoever installs sees what, how much and how far."""

import os
import pty
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

RULES = re.split(r"\n(?=\S[^\n]*:)", (ROOT / "Makefile").read_text())
INSTALLING = [rule for rule in RULES if re.search(r"\n\t[^\n]*(\$\(INSTALL\)|\$\(PIP\)|pip install)", rule)]


@pytest.mark.parametrize("rule", INSTALLING, ids=lambda rule: rule.partition(":")[0])
def test_what_is_installed_is_said_first_with_its_size_and_about_how_long_it_takes(rule):
    first = next(line for line in rule.splitlines() if line.startswith("\t"))
    assert re.fullmatch(r"\t@\$\(SAY\) 'Installing .+, once.*\d [MG]B.*(seconds|minutes?).*'", first), first


def test_every_environment_is_among_them():
    assert sum(rule.startswith(".venv/") for rule in INSTALLING) == 10


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_pip_shows_its_progress_in_a_terminal_and_is_quiet_in_a_log(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "asked: $*"\n')
    python.chmod(0o755)
    command = ["make", "--always-make", ".venv/installed"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    logged = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60).stdout
    main, terminal = pty.openpty()
    subprocess.run(command, cwd=tmp_path, env=environment, stdout=terminal, stderr=terminal, timeout=60)
    os.close(terminal)
    shown = os.read(main, 2**16).decode()
    os.close(main)
    assert logged.startswith("Installing cl_bench and PyTorch") and "asked: -m pip install --quiet" in logged
    assert shown.startswith("Installing cl_bench and PyTorch") and "asked: -m pip install --disable-pip" in shown
