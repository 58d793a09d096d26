"""The commands that README, docs and `--help` show, exactly as they stand there."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.name != "extending.md"  # which tests/docs/test_extending.py follows from its first line to its last
]
HELP = sorted((ROOT / "conf" / "hydra" / "help").glob("*.yaml"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(\w+=\S+ )*(\.venv/bin/)?(cl-bench|python|make|pip|srun|sbatch|source|cd|git|wandb|mlflow) \S")
_SETTINGS = re.compile(r"([a-z][a-z_/@.]*=\S+ ?)+")


class Found(NamedTuple):
    """A command and where it stands."""

    command: str
    page: str


def commands() -> list[Found]:
    """All of them, each where it stands first; what `make` starts comes after it."""
    found: dict[str, str] = {}
    for page in PAGES:
        for command in [*_of_fences(page.read_text()), *filter(_COMMAND.match, spans(page.read_text()))]:
            found.setdefault(command, page.relative_to(ROOT).as_posix())
    for page in HELP:
        text = re.sub(r"\$\{command:(\w+)\}", r"cl-bench \1", _joined(page.read_text()))
        for command in re.findall(r"^ {4,}(cl-bench .*)$", text, flags=re.MULTILINE):
            found.setdefault(" ".join(command.split()), page.relative_to(ROOT).as_posix())
    return [Found(command, page) for command, page in found.items()]


def settings() -> list[Found]:
    """What stands in the text as `name=value`, with no command around it and no placeholder in it."""
    pages = [
        page for page in PAGES if page.name != "mergers.md"
    ]  # that page names its settings beside the merger's name
    return [
        Found(span, page.name)
        for page in pages
        for span in dict.fromkeys(spans(page.read_text()))
        if _SETTINGS.fullmatch(span.replace(": ", ":")) and not re.search(r"…|my_package|path/to", span)
    ]


def spans(text: str) -> list[str]:
    """What stands between backticks, on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _FENCE.sub("", text))]


def started_by_make(target: str, folder: Path) -> list[str]:
    """The commands of Python that a target would start, from a folder where nothing is installed or run."""
    stub = folder / ".venv" / "bin" / "python"
    if not stub.exists():
        stub.parent.mkdir(parents=True)
        stub.write_text("#!/bin/sh\n")  # `make -n` runs lines that call make, and what else they hold
        stub.chmod(0o755)
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            (folder / name).write_text((ROOT / name).read_text())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(
        ["make", "-n", "--no-print-directory", *target.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, (target, shown.stderr)
    lines = re.findall(
        r"^\.venv/bin/(python (?:run\.py|-m (?!pip|venv)).*)$", _joined(shown.stdout), flags=re.MULTILINE
    )
    return [" ".join(line.split()) for line in lines]


def words(command: str) -> list[str]:
    """As the shell hands them on, without the variables before the command."""
    parts = shlex.split(command, comments=True)
    return parts[next(i for i, part in enumerate(parts) if not re.match(r"[A-Z_]+=", part)) :]


def _of_fences(text: str) -> list[str]:
    blocks = [block for language, block in _FENCE.findall(text) if language in ("", "bash", "sh", "console")]
    lines = [line.strip() for block in blocks for line in _joined(block).splitlines()]
    return [" ".join(line.partition(" #")[0].split()) for line in lines if line and not line.startswith("#")]


def _joined(text: str) -> str:
    """Lines that end in a backslash, with the next one."""
    return re.sub(r"[ \t]*\\\n\s*", " ", text)
