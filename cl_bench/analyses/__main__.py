"""Analyses of finished runs: `python -m cl_bench.analyses FOLDER [--only NAME …]`.

Each analysis takes the runs below the folder that it makes sense for, one of each kind, and writes
`analyses/<name>.json` beside the run's record. What is there already is not computed again.

A record names the classes of its run. The project's own classes are used; others only if you trust them by name, as in
`--trust my_package`, since a record from somebody else may name anything.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cl_bench.analyses.selection import representatives, trained_otherwise
from cl_bench.analyses.source import NEEDS, SCHEMA, describe
from cl_bench.runtime import process, tilde
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError, each
from cl_bench.store import atomic, permissions, read_result, record_shape

NAMES = (
    "sign_conflicts",
    "task_shares",
    "cosine_similarity",
    "merge_cost",
    "pruning",
    "interpolation",
    "feature_mismatch",
    "tsne",
)


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code, which is 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(prog=typed("analyze"), description=__doc__.partition(":")[0] + ".")
    parser.add_argument("folder", type=tilde.path, help="where the runs lie, multirun for example")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package, module or class of yours that records may name; may be given several times",
    )
    chosen = parser.parse_args(arguments)
    try:
        with permissions.explained("copy the records there"):
            analyze(chosen.folder, chosen.only, chosen.trust)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def analyze(folder: Path, names: Sequence[str], trusted: Sequence[str] = ()) -> None:
    """Makes the analyses that are missing, run by run, and prints which.

    Args:
        folder: Folder with the records, at any depth.
        names: Names of the analyses.
        trusted: See `open_run`.

    Raises:
        UserError: There is no run, or one of them cannot be opened again.
    """
    found = sorted(folder.glob("**/result.json"))
    records = dict(zip(found, each(found, _record), strict=True))
    if not records:
        raise UserError(f"There is no result.json below {folder}; run something first.")
    due: dict[Path, list[str]] = {}
    for name in names:
        module = importlib.import_module(f"cl_bench.analyses.{name}")
        paths = representatives(records, module.wants)
        if not paths:
            print(f"{name}: needs {module.WANTED}; there is no such run below {folder}")
        for path in paths:
            due.setdefault(path, []).append(name)
    for path, wanted in sorted(due.items()):
        if others := trained_otherwise(records, path):
            number = "another run" if len(others) == 1 else f"{len(others)} other runs"
            print(f"{path.parent}: stands for {number} with other settings of optim, such as {others[0].parent}")
        _analyze_run(path, records[path], wanted, trusted)


def _record(path: Path) -> dict[str, Any]:
    record = read_result(path)
    record_shape.check(record, path, NEEDS)
    return record


def _analyze_run(path: Path, record: dict[str, Any], names: Sequence[str], trusted: Sequence[str]) -> None:
    source = describe(record)
    missing = [name for name in names if not _is_there(_path(path, name), source)]
    there = [name for name in names if name not in missing]
    print(f"{path.parent}: {', '.join(missing) or 'nothing'}" + (f" (there already: {', '.join(there)})" * bool(there)))
    if not missing:
        return
    from cl_bench.analyses.opened_run import open_run

    run = open_run(path, trusted)
    for name in missing:
        numbers = importlib.import_module(f"cl_bench.analyses.{name}").compute(run)
        atomic.write_json(_path(path, name), {"schema": SCHEMA, "analysis": name, "source": source, **numbers})


def _path(record: Path, name: str) -> Path:
    return record.parent / "analyses" / f"{name}.json"


def _is_there(path: Path, source: dict[str, Any]) -> bool:
    """Whether the file has the analysis of this run as it is now, in this schema."""
    try:
        analysis = json.loads(path.read_text(encoding="utf-8"))
        return bool(analysis["source"] == source and analysis["schema"] == SCHEMA)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    with process.command():
        sys.exit(main(sys.argv[1:]))
