"""Markdown tables: of many runs, mean ± standard deviation over seeds, or of a `Table` as it is."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_bench.reports.scenarios import scenario_of, told_apart
from cl_bench.reports.shown import LEGEND, Shown, footnotes, has_ranks, shown
from cl_bench.reports.table import Table
from cl_bench.runtime.errors import UserError, each
from cl_bench.store import read_result, record_shape

Result = Mapping[str, Any]


IN_TABLES = (
    *("choices.scenario", "choices.trainer", "choices.merger", "config", "fingerprint", "split", "seed", "training"),
    *("headline.name", "headline.value", "metrics.KIND.forgetting_max_minus_last", "matrix.KIND.*"),
    *("versions", "devices.kind"),
)
"""What tables and comparisons read of a record, beside what it is called by."""

_NAMES = ("scenario.name", "datasets.*.name", "datasets.*.images")
"""What each record is called by."""


def read_all(folder: Path, needs: Sequence[str] = ()) -> list[dict[str, Any]]:
    """All result records below a folder, each with its file's name under `path`; other images have other names.

    Args:
        folder: Where they lie.
        needs: Keys that each must have, see `record_shape.check`.

    Raises:
        UserError: There is none, or some are damaged; names up to ten of them.
    """
    results = each(sorted(folder.glob("**/result.json")), lambda path: read(path, needs))
    if not results:
        raise UserError(f"There is no result.json below {folder}; run the sweep first.")
    return told_apart(results)


def read(path: Path, needs: Sequence[str] = ()) -> dict[str, Any]:
    """One of them.

    Raises:
        UserError: It is damaged, or lacks a key.
    """
    result = read_result(path)
    record_shape.check(result, path, (*_NAMES, *needs))
    return {**result, "path": str(path)}


def table(
    results: Sequence[Result], corner: str, row: Callable[[Result], str], value: Callable[[Result], float | None]
) -> str:
    """One row per `row`, in order of appearance, one column per scenario; the sample's standard deviation.

    A cell that nobody ran stays empty, and so does a row without any value.
    """
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for result in results:
        if (number := value(result)) is not None:
            cells[row(result), scenario_of(result)].append(number)
    rows = dict.fromkeys(name for name, _ in cells)
    scenarios = sorted({scenario for _, scenario in cells})
    return grid([corner, *scenarios], [[name, *(cell(cells[name, s]) for s in scenarios)] for name in rows])


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: words in the first column, numbers in the others."""
    header, rows = [plain(name) for name in header], [[plain(name), *cells] for name, *cells in rows]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plain(name: str) -> str:
    """A name, which anybody may have given, as text that neither ends a cell nor becomes HTML."""
    return " ".join(name.split()).replace("|", "\\|").replace("<", "&lt;")


def cell(values: Sequence[float]) -> str:
    """Mean ± the sample's standard deviation; empty if there is no value."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def page(table: Table) -> str:
    """A table with its caption above and its notes below."""
    rows = [[row.name, *map(_shown, cells)] for row, cells in zip(table.rows, shown(table), strict=True)]
    notes = [LEGEND] * has_ranks(table) + [plain(note) for note in table.notes]
    notes += [f"<sup>{mark}</sup> {plain(text)}" for text, mark in footnotes(table).items()]
    below = "".join(f"\n{note}\n" for note in notes)
    return f"{plain(table.caption)}\n\n{grid(['method', *table.columns], rows)}{below}"


def _shown(cell: Shown | None) -> str:
    if cell is None:
        return ""
    text = {0: cell.number, 1: f"**{cell.number}**", 2: f"<u>{cell.number}</u>"}[cell.rank]
    return text + cell.of + (f"<sup>{','.join(cell.marks)}</sup>" if cell.marks else "")
