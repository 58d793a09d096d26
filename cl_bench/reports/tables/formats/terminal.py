"""A table on the terminal, or in a pipe."""

import os
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from cl_bench.reports.tables.formats.cells import LEGEND, PrintedCell, footnotes, has_ranks, printed_cells
from cl_bench.reports.tables.table import Table

_NARROWEST = 20  # of the names of rows, which fold
_PADDING = 3  # of a column, with its line
_ENDLESS = 10**4  # letters: whoever reads a pipe wants a row in a line


def print_table(table: Table, most: int | None = None) -> None:
    """Prints caption, rows and notes. Long names fold; columns that do not fit beside each other go below.

    Args:
        table: What to print.
        most: How many rows to show; a line says how many more there are.
    """
    console = Console(highlight=False) if os.isatty(1) else Console(width=_ENDLESS, highlight=False)
    cells = [[_cell(cell) for cell in row] for row in printed_cells(table)][:most]
    names = [row.name for row in table.rows][:most]
    console.print(table.caption, soft_wrap=True, markup=False)
    for block in _blocks(table.columns, cells, names, console.width):
        console.print(_grid(table.columns, cells, names, block))
    if (hidden := len(table.rows) - len(names)) > 0:
        console.print(f"… and {hidden} more rows")
    notes = [LEGEND] * has_ranks(table) + list(table.notes)
    notes += [f"[{mark}] {text}" for text, mark in footnotes(table).items()]
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)


def _grid(columns: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str], block: Sequence[int]) -> Grid:
    grid = Grid()
    grid.add_column("", overflow="fold")
    for i in block:
        grid.add_column(escape(columns[i]), justify="right", overflow="fold", min_width=_widest(i, cells))
    for name, row in zip(names, cells, strict=True):
        grid.add_row(escape(name), *(row[i] for i in block))
    return grid


def _blocks(
    columns: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str], width: int
) -> list[list[int]]:
    """Splits the columns into blocks that fit the width."""
    room = width - min(max(map(len, names), default=0), _NARROWEST) - 2 * _PADDING
    blocks: list[list[int]] = [[]]
    left = room
    for i in range(len(columns)):
        needed = _widest(i, cells) + _PADDING
        if blocks[-1] and needed > left:
            blocks.append([])
            left = room
        blocks[-1].append(i)
        left -= needed
    return blocks


def _widest(column: int, cells: Sequence[Sequence[str]]) -> int:
    return max((len(_without_markup(row[column])) for row in cells), default=0)


def _without_markup(cell: str) -> str:
    from rich.text import Text

    return Text.from_markup(cell).plain


def _cell(cell: PrintedCell | None) -> str:
    if cell is None:
        return ""
    number = {0: cell.number, 1: f"[bold]{cell.number}[/]", 2: f"[underline]{cell.number}[/]"}[cell.rank]
    return number + cell.number_of_runs + (escape(f" [{','.join(cell.marks)}]") if cell.marks else "")
