"""A table in Markdown."""

from collections.abc import Sequence

from cl_bench.reports.tables.formats.cells import LEGEND, PrintedCell, footnotes, has_ranks, printed_cells
from cl_bench.reports.tables.table import Table


def markdown(table: Table) -> str:
    """Writes a table with its caption above and its notes below."""
    rows = [[row.name, *map(_cell, cells)] for row, cells in zip(table.rows, printed_cells(table), strict=True)]
    notes = [LEGEND] * has_ranks(table) + [plain(note) for note in table.notes]
    notes += [f"<sup>{mark}</sup> {plain(text)}" for text, mark in footnotes(table).items()]
    below = "".join(f"\n{note}\n" for note in notes)
    return f"{plain(table.caption)}\n\n{grid(['method', *table.columns], rows)}{below}"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes the bare table: words in the first column, numbers in the others."""
    header, rows = [plain(name) for name in header], [[plain(name), *cells] for name, *cells in rows]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plain(name: str) -> str:
    """Writes a name, which anybody may have given, so that it neither ends a cell nor becomes HTML."""
    return " ".join(name.split()).replace("|", "\\|").replace("<", "&lt;")


def _cell(cell: PrintedCell | None) -> str:
    if cell is None:
        return ""
    text = {0: cell.number, 1: f"**{cell.number}**", 2: f"<u>{cell.number}</u>"}[cell.rank]
    return text + cell.number_of_runs + (f"<sup>{','.join(cell.marks)}</sup>" if cell.marks else "")
