"""A table of results, before it becomes Markdown, LaTeX, CSV or a part of the page.

As a command: `python -m cl_bench.reports table FOLDER` for any runs, `table NAME FOLDER OUT` for the papers' tables.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cl_bench.runtime import tilde
from cl_bench.runtime.errors import UserError


@dataclass(frozen=True)
class Cell:
    """What is known of one method on one scenario.

    Attributes:
        values: One number per seed, in the table's unit.
        flags: How the runs differ from the others of their row, such as "batch_size 64"; empty if they do not.
        source: Where a reference number is from; empty for results of our own.
        note: What its source says of it.
    """

    values: tuple[float, ...]
    flags: tuple[str, ...] = ()
    source: str = ""
    note: str = ""

    @property
    def mean(self) -> float:
        """Of the values."""
        return statistics.mean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Row:
    """A method, and its cell in each column where there is one.

    Attributes:
        competes: Whether it may be the best of a column; bounds such as zero-shot and joint training may not.
    """

    name: str
    cells: Mapping[str, Cell]
    competes: bool = True


@dataclass(frozen=True)
class Table:
    """Rows are methods, columns scenarios; reference columns hold the numbers that others published.

    Attributes:
        name: Of its files, such as "cil".
        caption: One sentence: what is measured, in which unit, over what.
        columns: Names, in order; a cell that is in no row's `cells` was not run by anyone.
        references: Those of `columns` with reference numbers only.
        higher_is_better: Which end is set in bold.
        notes: What stands below the table.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    references: frozenset[str] = frozenset()
    higher_is_better: bool = True
    notes: tuple[str, ...] = field(default=())


def main(arguments: list[str]) -> None:
    """Prints the table of any runs, or writes one of the papers' tables, each with its table of forgetting.

    Raises:
        UserError: There are no records, none of this table's kind, or some that contradict each other.
    """
    from cl_bench.reports.markdown import IN_TABLES, read_all
    from cl_bench.reports.printed import print_table
    from cl_bench.reports.scaling import chosen_only
    from cl_bench.reports.scenarios import told_apart
    from cl_bench.reports.swept import swept
    from cl_bench.reports.tables import NAMES, tables_named

    parser = _parser(NAMES)
    asked = parser.parse_args(arguments)
    name = asked.what[0]
    if name not in NAMES:
        _check_folders(asked.what, NAMES)
        results = [result for folder in asked.what for result in read_all(tilde.path(folder), IN_TABLES)]
        for table in swept(told_apart(results)):
            print_table(table)
            if asked.out:
                _write(table, asked.out)
        return
    if len(asked.what) < 3:
        parser.error(f"a table of the papers is written to a folder: table {name} FOLDER … OUT")
    if asked.out:
        parser.error(f"OUT is the last of table {name} FOLDER … OUT; --out is for the table of any runs")
    *folders, out = map(tilde.path, asked.what[1:])
    results = told_apart([result for folder in folders for result in read_all(folder, IN_TABLES)])
    for table in tables_named(name, results):
        _write(table, out)
    if left_out := chosen_only(results)[1]:
        print(left_out)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cl_bench.reports table",
        usage="%(prog)s FOLDER … [--out OUT], or %(prog)s NAME FOLDER … OUT",
        description="Prints a table of any runs: rows are what they differ in, columns what was measured. With a NAME, "
        "writes that table of the papers.",
        epilog=f"NAME is one of {', '.join(names)}.",
    )
    parser.add_argument("what", nargs="+", metavar="FOLDER", help="where the runs lie; several are read together")
    parser.add_argument("--out", type=tilde.path, help="also write it there, as sweep.md, .tex and .csv")
    return parser


def _check_folders(given: Sequence[str], names: Sequence[str]) -> None:
    for folder in given:
        if not tilde.path(folder).is_dir():
            raise UserError(f"There is no folder {folder}, and no table of that name; tables are {', '.join(names)}.")


def _write(table: Table, out: Path) -> None:
    from cl_bench.reports.latex import latex
    from cl_bench.reports.markdown import page
    from cl_bench.reports.tidy import tidy
    from cl_bench.store import atomic

    for ending, written in (("md", page), ("tex", latex), ("csv", tidy)):
        atomic.write_text(out / f"{table.name}.{ending}", written(table))
    print(f"written: {out / table.name}.{{md,tex,csv}}")
