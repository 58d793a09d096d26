"""A table of results as plain data, whatever it is written as."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """What is known of one method on one scenario.

    Attributes:
        values: One number per seed, in the table's unit.
        flags: How the runs differ from the others of their row, such as "batch_size 64"; empty if they do not.
        source: Where a reference number comes from; empty for results of our own.
        note: What its source says about it.
    """

    values: tuple[float, ...]
    flags: tuple[str, ...] = ()
    source: str = ""
    note: str = ""

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return statistics.mean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Row:
    """A method, and its cell in each column where there is one.

    Attributes:
        name: What the row is called.
        cells: By column.
        competes: Whether it may be the best of a column; bounds such as zero-shot and joint training may not.
    """

    name: str
    cells: Mapping[str, Cell]
    competes: bool = True


@dataclass(frozen=True)
class Table:
    """Rows are methods, columns scenarios; reference columns hold the numbers that others published.

    Attributes:
        name: The name of its files, such as "cil".
        caption: One sentence: what is measured, in which unit, over what.
        columns: Names, in order; a cell that is in no row's `cells` was not run by anyone.
        rows: In order.
        references: Those of `columns` that hold reference numbers only.
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
