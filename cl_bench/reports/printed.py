"""A table on the terminal, or in a pipe."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from cl_bench.reports.shown import LEGEND, Shown, footnotes, has_ranks, shown
from cl_bench.reports.table import Table
from cl_bench.runtime.errors import UserError

_NARROWEST = 20  # of the names of rows, which fold
_ROWS_AT_THE_END = 40
_PADDING = 3  # of a column, with its line


def print_sweep(paths: Sequence[Path]) -> None:
    """The table of a sweep at its end, and the command that shows all of it again.

    Args:
        paths: Records, at least one.
    """
    from cl_bench.reports.markdown import IN_TABLES, read
    from cl_bench.reports.scenarios import told_apart
    from cl_bench.reports.swept import swept

    folder = Path(os.path.commonpath([path.parent for path in paths]))
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    again = f"python -m cl_bench.reports table {shlex.quote(str(here))}"
    print()
    try:
        print_table(swept(told_apart([read(path, IN_TABLES) for path in paths]))[0], _ROWS_AT_THE_END)
        print(f"The same again: {again}; --out OUT writes it as Markdown, LaTeX and CSV", flush=True)
    except UserError as error:  # the runs themselves are done
        print(f"No table of these runs: {error}", flush=True)


def print_table(table: Table, most: int | None = None) -> None:
    """Prints caption, rows and notes. Long names fold; columns that do not fit beside each other go below.

    Args:
        table: What to print.
        most: Rows to show; of more, the first of them, and how many there are.
    """
    console = Console(highlight=False)
    if not os.isatty(1):  # whoever reads a pipe wants a row in a line
        console = Console(width=10**4, highlight=False)
    cells = [[_cell(cell) for cell in row] for row in shown(table)][:most]
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
    """Which columns stand beside each other."""
    beside = min(max(map(len, names), default=0), _NARROWEST) + 2 * _PADDING
    blocks: list[list[int]] = [[]]
    left = width - beside
    for i in range(len(columns)):
        needed = _widest(i, cells) + _PADDING
        if blocks[-1] and needed > left:
            blocks.append([])
            left = width - beside
        blocks[-1].append(i)
        left -= needed
    return blocks


def _widest(column: int, cells: Sequence[Sequence[str]]) -> int:
    return max((len(_plain(row[column])) for row in cells), default=0)


def _plain(marked: str) -> str:
    """Without what makes it bold."""
    from rich.text import Text

    return Text.from_markup(marked).plain


def _cell(cell: Shown | None) -> str:
    if cell is None:
        return ""
    number = {0: cell.number, 1: f"[bold]{cell.number}[/]", 2: f"[underline]{cell.number}[/]"}[cell.rank]
    return number + cell.of + (escape(f" [{','.join(cell.marks)}]") if cell.marks else "")
