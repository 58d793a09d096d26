"""The group of rows that stand apart, since their rules look at unlabelled test images."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.tables.table import Cell, Row

HEADING = "With unlabelled test images:"
"""The name of a row without numbers, which stands above the group."""

_FLAG = "learned on unlabelled test images"


def stands_apart(run: RecordedRun) -> bool:
    """Whether a run's merger has learned on test images; earlier records say nothing of it, since no rule did."""
    return bool(run.result.get("sees_test_images"))


def grouped(rows: Iterable[Row], apart: Collection[str]) -> tuple[Row, ...]:
    """Puts rows under a heading at the end, where they do not compete.

    Each of their numbers has a footnote, too: rows of a page may be sorted, and a CSV file has no headings.

    Args:
        rows: In order.
        apart: The names of those that stand apart.
    """
    rows = list(rows)
    last = [replace(row, competes=False, cells=_flagged(row.cells)) for row in rows if row.name in apart]
    heading = [Row(HEADING, {}, competes=False)] * bool(last)
    return (*(row for row in rows if row.name not in apart), *heading, *last)


def _flagged(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    return {
        column: cell if cell.source else replace(cell, flags=(*cell.flags, _FLAG)) for column, cell in cells.items()
    }
