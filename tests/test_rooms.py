"""The rooms of the house: imports point downwards only, without a circle, and no file has grown too long."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT

# From the top down; rooms of one level do not import each other.
LEVELS = (
    ("cli", "merge", "export", "testing"),
    ("launching",),
    ("reports",),
    ("analyses",),
    ("experiment",),
    ("callbacks", "loggers"),
    ("trainers", "evaluation"),
    ("scenarios",),
    ("heads",),
    ("backbones",),
    ("datasets",),
    ("images",),
    ("mergers",),
    ("store",),
    ("runtime",),
)
LEVEL = {"": -1} | {room: level for level, rooms in enumerate(LEVELS) for room in rooms}  # the package is on top
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "cl_bench").rglob("*.py"))
}


def imported(module: str) -> Iterator[str]:
    """Modules of the project that one imports, wherever in its text the import stands."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in FILES else node.module


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [module for module in FILES if room(module)])
def test_a_module_imports_from_its_own_room_or_from_lower_ones(module):
    upwards = [
        other for other in imported(module) if room(other) != room(module) and LEVEL[room(other)] <= LEVEL[room(module)]
    ]
    assert upwards == []


def test_there_is_no_circle_of_imports():
    try:
        list(TopologicalSorter({module: set(imported(module)) - {module} for module in FILES}).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1][::-1]))


def test_every_room_has_a_level():
    assert {room(module) for module in FILES} == set(LEVEL)


@pytest.mark.parametrize(
    "file",
    [*FILES.values(), *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda file: file.relative_to(ROOT).as_posix(),
)
def test_a_file_of_more_than_300_lines_says_why(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 300 or "lines: " in text.partition('"""\n')[0]
