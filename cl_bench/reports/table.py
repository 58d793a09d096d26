"""A table of results, before it becomes Markdown, LaTeX, CSV or a part of the page."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """A method, and its cell in each column where there is one."""

    name: str
    cells: Mapping[str, Cell]


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
