"""A table of any sweep: rows are what its runs differ in, as it was typed; columns are what was measured.

Means are over seeds and orders of arrival. Runs on other images, with another number of tasks or another kind of
accuracy have a column of their own. A run with a list of λ from which nobody chose has a row for each λ.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from cl_bench.reports.headline import as_answered
from cl_bench.reports.kinds import kind_of
from cl_bench.reports.names import BOUNDS
from cl_bench.reports.records import Result
from cl_bench.reports.runs import RecordedRun, distinct
from cl_bench.reports.scaling import chosen_flag, is_unchosen, one_per_scaling
from cl_bench.reports.settings import choice_of, differing, typed, typed_choice
from cl_bench.reports.shown import ACCURACY, DEFAULT, higher_is_better, value_of
from cl_bench.reports.tables.groups import apart, grouped
from cl_bench.reports.tables.swept_notes import caption, notes
from cl_bench.reports.tables.swept_places import Column, PlacedRun, column_names, position
from cl_bench.reports.tables.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError

_GROUPS = ("+method", "trainer", "merger", "backbone", "head", "optim")  # a choice of each brings settings of its own
_OF_NO_METHOD = ("backbone", "head")  # these are named wherever they differ, even if each method has one of its own


@dataclass(frozen=True)
class _Contents:
    """What the tables of all metrics have in common.

    Attributes:
        placed: All runs, each with its place.
        competes: Whether a row may be the best of a column.
        repeated_alike: Whether all rows of each column are means over the same seeds and orders of arrival.
        lists: The number of records that had a list of λ from which nobody chose.
    """

    placed: Sequence[PlacedRun]
    competes: bool
    repeated_alike: bool
    lists: int


def swept(results: Sequence[Result], metrics: Sequence[str] = DEFAULT) -> list[Table]:
    """Makes a table of each metric that any of the runs has.

    Args:
        results: The records.
        metrics: As `shown.chosen` returns them.

    Raises:
        UserError: There are no records, or two for one place in the table that contradict each other. Names both.
    """
    each = [one for result in results for one in one_per_scaling(as_answered(result))]
    if not each:
        raise UserError("There are no runs for a table.")
    runs = [RecordedRun.of(one) for one in each]
    columns = [Column.of(run) for run in runs]
    groups = _differing_groups(runs, columns)
    choices = [dict(typed_choice(name, choice) for name in groups if (choice := _choice(run, name))) for run in runs]
    group = {id(run.result): (column, typed(row)) for run, column, row in zip(runs, columns, choices, strict=True)}
    settings = differing(each, lambda result: group[id(result)])
    rows = [{**chosen, **others} for chosen, others in zip(choices, settings, strict=True)]
    placed = [PlacedRun(*one) for one in zip(runs, columns, rows, strict=True)]
    lists = sum(map(is_unchosen, results))
    chosen_on = all(run.result["split"] == "validation" for run in runs)
    alike = _repeated_alike(placed)
    contents = _Contents(placed, (chosen_on or not (any(settings) or lists)) and alike, alike, lists)
    tables = [_table(contents, metric) for metric in metrics]
    return [table for table in tables if table.rows]


def _differing_groups(runs: Sequence[RecordedRun], columns: Sequence[Column]) -> list[str]:
    """Groups whose choices tell runs of a column apart, without those that follow from the groups before them."""
    names: list[str] = []
    all_have_methods = all(_choice(run, "+method") for run in runs)  # else the same runs could have two names
    for name in _GROUPS if all_have_methods else _GROUPS[1:]:
        found: dict[Hashable, set[str]] = defaultdict(set)
        for run, column in zip(runs, columns, strict=True):
            before = [known for known in names if known in _OF_NO_METHOD or name not in _OF_NO_METHOD]
            found[column, tuple(_choice(run, known) for known in before)].add(_choice(run, name))
        if any(len(values) > 1 for values in found.values()):
            names.append(name)
    return names


def _choice(run: RecordedRun, group: str) -> str:
    return run.result["config"].get("method") or "" if group == "+method" else choice_of(run.result, group)


def _repeated_alike(placed: Sequence[PlacedRun]) -> bool:
    repeated: dict[Column, dict[str, set[tuple[int, str]]]] = defaultdict(lambda: defaultdict(set))
    for one in placed:
        if one.run.method not in BOUNDS and kind_of(one.run.result) is None:
            repeated[one.column][typed(one.row)].add((one.run.seed, repr(one.run.order)))
    return all(len(set(map(frozenset, of_rows.values()))) == 1 for of_rows in repeated.values())


def _table(contents: _Contents, metric: str) -> Table:
    in_order = sorted(_each_once(contents.placed), key=position)
    names = column_names(list(dict.fromkeys(one.column for one in in_order)))
    values: dict[str, dict[str, dict[RecordedRun, float]]] = defaultdict(lambda: defaultdict(dict))
    for one in in_order:
        if (value := value_of(one.run.result, metric)) is not None:
            values[one.row_name][names[one.column]][one.run] = value
    cells = {row: {column: _cell(runs) for column, runs in found.items()} for row, found in values.items()}
    bounds = {one.row_name for one in in_order if one.run.method in BOUNDS}
    most = max((len(cell.values) for found in cells.values() for cell in found.values()), default=1)
    return Table(
        name="sweep" if metric == ACCURACY else f"sweep_{metric}",
        caption=caption(metric, [one.run for one in in_order], most),
        columns=tuple(names.values()),
        rows=grouped(
            (Row(row, found, contents.competes and row not in bounds) for row, found in cells.items()),
            apart((one.row_name, one.run) for one in in_order),
        ),
        higher_is_better=higher_is_better(metric),
        notes=tuple(notes(names, in_order, contents.repeated_alike, contents.lists)),
    )


def _each_once(placed: Sequence[PlacedRun]) -> list[PlacedRun]:
    by_run = {one.run: one for one in placed}
    keys = {one.run: (one.column, typed(one.row), one.run.seed, repr(one.run.order)) for one in placed}
    return [by_run[run] for run in distinct(by_run, keys.__getitem__).values()]


def _cell(values: Mapping[RecordedRun, float]) -> Cell:
    return Cell(tuple(values.values()), flags=chosen_flag(run.result for run in values))
