"""Groups of rows that stand apart, since their rules know more than one data-free model for all tasks may."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cl_bench.reports.kinds import Kind, kind_of
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.tables.table import Cell, Row


def apart(named: Iterable[tuple[str, RecordedRun]]) -> dict[str, Kind]:
    """Returns the names of rows that stand apart, each with what its runs are."""
    return {name: kind for name, run in named if (kind := kind_of(run.result))}


def grouped(rows: Iterable[Row], kinds: Mapping[str, Kind]) -> tuple[Row, ...]:
    """Puts rows of each kind below a heading at the end, where they do not compete.

    Each of their numbers has a footnote, too: rows of a page may be sorted, and a CSV file has no headings.

    Args:
        rows: In order.
        kinds: See ``apart``.
    """
    rows = list(rows)
    found = [row for row in rows if row.name not in kinds]
    for kind in sorted(set(kinds.values())):
        if own := [row for row in rows if kinds.get(row.name) == kind]:
            found.append(Row(f"{kind.heading}:", {}, competes=False))
            found += [replace(row, competes=False, cells=_flagged(row.cells, kind.flag)) for row in own]
    return tuple(found)


def _flagged(cells: Mapping[str, Cell], flag: str) -> dict[str, Cell]:
    return {column: cell if cell.source else replace(cell, flags=(*cell.flags, flag)) for column, cell in cells.items()}
