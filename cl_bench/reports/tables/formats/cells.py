"""What a table shows in each cell, whatever it is written as: text, rank, footnotes."""

import itertools
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cl_bench.reports.tables.table import Cell, Table

LEGEND = "Best in bold, second underlined, and equals alike; bounds and references do not compete."


@dataclass(frozen=True)
class PrintedCell:
    """A cell as it is printed.

    Attributes:
        mean: With two digits.
        deviation: With two digits; empty for a single run and for references.
        rank: 1 for the best of the column, 2 for the second; 0 for all others.
        n: The number of runs, where it differs from the rest of the table.
        marks: Of its footnotes.
    """

    mean: str
    deviation: str
    rank: int
    n: int | None
    marks: tuple[str, ...]

    @property
    def number(self) -> str:
        """Mean ± deviation, as text."""
        return f"{self.mean} ± {self.deviation}" if self.deviation else self.mean

    @property
    def number_of_runs(self) -> str:
        """The number of runs in parentheses, where it has to be said."""
        return f" (n = {self.n})" if self.n else ""


def footnotes(table: Table) -> dict[str, str]:
    """Gives a letter to each thing that is said about some cells, in the order of reading."""
    texts = dict.fromkeys(text for row in table.rows for c in table.columns for text in _remarks(row.cells.get(c)))
    return dict(zip(texts, _letters(), strict=False))


def printed_cells(table: Table) -> list[list[PrintedCell | None]]:
    """Makes the text of all cells, row by row and column by column; None where there is no cell."""
    marks, ranks = footnotes(table), {column: _ranks(table, column) for column in table.columns}
    counts = [len(cell.values) for row in table.rows for c, cell in row.cells.items() if c not in table.references]
    usual = max(counts, default=1)

    def printed(row: int, column: str) -> PrintedCell | None:
        cell = table.rows[row].cells.get(column)
        if cell is None:
            return None
        n = len(cell.values)
        return PrintedCell(
            mean=f"{cell.mean:.2f}",
            deviation="" if cell.deviation is None else f"{cell.deviation:.2f}",
            rank=ranks[column].get(row, 0),
            n=None if column in table.references or n == usual else n,
            marks=tuple(marks[text] for text in _remarks(cell)),
        )

    return [[printed(row, column) for column in table.columns] for row in range(len(table.rows))]


def has_ranks(table: Table) -> bool:
    """Whether anything is set in bold."""
    return any(_ranks(table, column) for column in table.columns)


def _remarks(cell: Cell | None) -> Sequence[str]:
    return () if cell is None else [*cell.flags, *filter(None, [cell.note])]


def _ranks(table: Table, column: str) -> dict[int, int]:
    """First and second among the rows that compete; equal as printed is equal, and two firsts leave no second."""
    sign = -1 if table.higher_is_better else 1
    competing = {
        i: sign * round(row.cells[column].mean, 2)
        for i, row in enumerate(table.rows)
        if row.competes and column in row.cells and column not in table.references
    }
    if len(competing) < 2:
        return {}
    places = {i: 1 + sum(other < value for other in competing.values()) for i, value in competing.items()}
    return {i: place for i, place in places.items() if place <= 2}


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))
