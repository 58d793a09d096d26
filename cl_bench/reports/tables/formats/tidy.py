"""A table as tidy CSV: a line for each cell, numbers unrounded."""

import csv
import io

from cl_bench.reports.tables.table import Table

COLUMNS = ("table", "row", "column", "mean", "std", "n", "values", "flags", "source", "note")


def tidy(table: Table) -> str:
    """Writes the table; blanks separate `values`, semicolons `flags`, and `source` is empty for results of our own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table.rows:
        for column in table.columns:
            if (cell := row.cells.get(column)) is not None:
                deviation = "" if cell.deviation is None else repr(cell.deviation)
                values, flags = " ".join(map(repr, cell.values)), "; ".join(cell.flags)
                numbers = (repr(cell.mean), deviation, len(cell.values), values)
                remarks = map(_text, (flags, cell.source, cell.note))
                writer.writerow([table.name, _text(row.name), _text(column), *numbers, *remarks])
    return file.getvalue()


def _text(words: str) -> str:
    """Marks words by an apostrophe where a spreadsheet would take them for a formula, and run it."""
    return f"'{words}" if words.startswith(("=", "+", "-", "@", "\t", "\r")) else words
