"""`python -m cl_bench.reports table FOLDER …`: a table of any runs; with NAME and OUT, one of the papers' tables.

It prints the table at the end of a sweep, too.
"""

import argparse
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_bench.evaluation.metrics import METRICS
from cl_bench.reports.records import IN_TABLES, read, read_all
from cl_bench.reports.scaling import chosen_only
from cl_bench.reports.scenario_names import name_scenarios
from cl_bench.reports.shown import ACCURACY, DEFAULT, chosen
from cl_bench.reports.tables import over_orders, papers
from cl_bench.reports.tables.formats.latex import latex
from cl_bench.reports.tables.formats.markdown import markdown
from cl_bench.reports.tables.formats.terminal import print_table
from cl_bench.reports.tables.formats.tidy import tidy
from cl_bench.reports.tables.swept import swept
from cl_bench.reports.tables.table import Table
from cl_bench.runtime import tilde
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

NAMES = (*papers.NAMES, *over_orders.NAMES)
_MOST_ROWS = 40  # at the end of a sweep


def main(arguments: Sequence[str], program: str) -> None:
    """Prints the table of any runs, or writes one of the papers' tables; each with its table of forgetting.

    Raises:
        UserError: There are no records, none of this table's kind, or some that contradict each other.
    """
    parser = _parser(program)
    given = parser.parse_args(arguments)
    name = given.what[0]
    if name not in NAMES:
        _print_any(given.what, given.out, chosen(given.metrics) if given.metrics is not None else DEFAULT)
    elif len(given.what) < 3:
        parser.error(f"a table of the papers is written to a folder: table {name} FOLDER … OUT")
    elif given.out:
        parser.error(f"OUT is the last of table {name} FOLDER … OUT; --out is for the table of any runs")
    elif given.metrics is not None:
        parser.error("--metrics is for the table of any runs; a table of the papers has its own")
    else:
        *folders, out = map(tilde.path, given.what[1:])
        _write_papers(name, folders, out)


def print_sweep(paths: Sequence[Path]) -> None:
    """Prints the table of a sweep at its end, and the command that shows all of it again.

    Args:
        paths: The sweep's records, at least one.
    """
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    again = f"{typed('report')} table {shlex.quote(str(here))}"
    print()
    try:
        print_table(swept(name_scenarios([read(path, IN_TABLES) for path in paths]))[0], _MOST_ROWS)
        print(f"The same again: {again}; --out OUT writes it as Markdown, LaTeX and CSV", flush=True)
    except UserError as error:  # the runs themselves are done
        print(f"No table of these runs: {error}", flush=True)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        usage="%(prog)s FOLDER … [--metrics NAME,…] [--out OUT], or %(prog)s NAME FOLDER … OUT",
        description="Prints a table of any runs: rows are what they differ in, columns what was measured. With a NAME, "
        "writes that table of the papers.",
        epilog=f"NAME is one of {', '.join(NAMES)}. Metrics are {ACCURACY} and {', '.join(METRICS)}.",
    )
    parser.add_argument("what", nargs="+", metavar="FOLDER", help="where the runs lie; several are read together")
    parser.add_argument("--out", type=tilde.path, help="also write it there, as sweep.md, .tex and .csv")
    parser.add_argument("--metrics", metavar="NAME,…", help=f"a table of each ({','.join(DEFAULT)})")
    return parser


def _print_any(given: Sequence[str], out: Path | None, metrics: Sequence[str]) -> None:
    for folder in given:
        if not tilde.path(folder).is_dir():
            raise UserError(
                f"There is no folder {folder}, and no table of that name; tables are {', '.join(NAMES)}. "
                f"To write files, type --out {folder}."
            )
    tables = swept(_read(map(tilde.path, given)), metrics)
    if not tables:
        raise UserError(f"None of these runs has {' or '.join(metrics)}: each needs what its definition compares.")
    for table in tables:
        print_table(table)
        if out:
            _write(table, out)


def _write_papers(name: str, folders: Sequence[Path], out: Path) -> None:
    results = _read(folders)
    for table in named_tables(name, results):
        _write(table, out)
    if left_out := chosen_only(results)[1]:
        print(left_out)


def named_tables(name: str, results: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Makes the table of a name, and what belongs to it."""
    over = name in over_orders.NAMES
    return over_orders.table_over_orders(name, results) if over else papers.papers_table(name, results)


def _read(folders: Iterable[Path]) -> list[dict[str, Any]]:
    return name_scenarios([result for folder in folders for result in read_all(folder, IN_TABLES)])


def _write(table: Table, out: Path) -> None:
    for ending, written in (("md", markdown), ("tex", latex), ("csv", tidy)):
        atomic.write_text(out / f"{table.name}.{ending}", written(table))
    print(f"written: {out / table.name}.{{md,tex,csv}}")
