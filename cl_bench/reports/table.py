"""A table of results, before it becomes Markdown, LaTeX, CSV or a part of the page.

As a command: `python -m cl_bench.reports table NAME FOLDER OUT`.
"""

import argparse
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from cl_bench import home


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
    """Writes a table, and its table of forgetting, as OUT/NAME.md, .tex and .csv.

    Raises:
        UserError: There are no records, none of this table's kind, or some that contradict each other.
    """
    from cl_bench.reports.latex import latex
    from cl_bench.reports.markdown import IN_TABLES, page, read_all
    from cl_bench.reports.tables import NAMES, tables_named
    from cl_bench.reports.tidy import tidy
    from cl_bench.store import atomic

    parser = argparse.ArgumentParser(
        prog="python -m cl_bench.reports table", description="Writes one of the papers' tables."
    )
    parser.add_argument("name", choices=NAMES, help="which table")
    parser.add_argument("folder", type=home.path, nargs="+", help="of the sweep's records; several are read together")
    parser.add_argument("out", type=home.path, help="where the files go")
    asked = parser.parse_args(arguments)
    for table in tables_named(
        asked.name, [result for folder in asked.folder for result in read_all(folder, IN_TABLES)]
    ):
        for ending, written in (("md", page), ("tex", latex), ("csv", tidy)):
            atomic.write_text(asked.out / f"{table.name}.{ending}", written(table))
        print(f"written: {asked.out / table.name}.{{md,tex,csv}}")
