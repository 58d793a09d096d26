"""The caption of a sweep's table, and the notes below it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.scaling import HOW_TO_CHOOSE
from cl_bench.reports.settings import differing, typed, typed_value
from cl_bench.reports.shown import meaning
from cl_bench.reports.tables.recorded_notes import recorded_notes
from cl_bench.reports.tables.rules import rules
from cl_bench.reports.tables.swept_places import Column, PlacedRun

_MOST_SEEDS = 12


def caption(metric: str, runs: Sequence[RecordedRun], most: int) -> str:
    """Says what was measured, and over what the means are.

    Args:
        metric: Its name.
        runs: All runs of the table.
        most: The largest number of runs in a cell.
    """
    splits = " or ".join(sorted({run.result["split"] for run in runs}))
    what = meaning(metric, splits)
    seeds, orders = sorted({run.seed for run in runs}), {repr(run.order) for run in runs}
    over = f"seed{'s' * (len(seeds) > 1)} {_shortened([str(seed) for seed in seeds])}"
    over += f" and {len(orders)} orders of arrival" if len(orders) > 1 else ""
    spread = f"mean ± the sample's standard deviation over {over}, n = {most} where the cell says nothing else"
    return f"{what}; {spread if most > 1 else over}."


def notes(names: Mapping[Column, str], placed: Sequence[PlacedRun], repeated_alike: bool, lists: int) -> Iterator[str]:
    """Says what the numbers are, what all runs have in common, and what sets some apart."""
    runs = [one.run for one in placed]
    yield f"The accuracy is {_headlines(names)}."
    choices = {name: {run.result["choices"][name] for run in runs} for name in ("trainer", "merger")}
    if same := typed({name: found.pop() for name, found in choices.items() if len(found) == 1}):
        yield f"All runs have {same}."
    yield from _implied_choices(placed)
    yield from rules(runs)
    yield from _hidden_settings(placed)
    yield from recorded_notes(runs)
    if not repeated_alike:
        yield "Rows are of other seeds or orders of arrival than each other, so none of them is the best."
    if lists:
        yield f"No λ was chosen where merger.scaling was a list, so each has a row. {HOW_TO_CHOOSE}."
    for name in ("cl_bench", "torch"):
        versions = sorted({run.result["versions"].get(name, "unknown") for run in runs})
        if len(versions) > 1:
            yield f"These runs are of several versions of {name}: {', '.join(versions)}."
    if len(devices := sorted({run.result["devices"]["kind"] for run in runs})) > 1:
        yield f"These runs are of several devices: {', '.join(devices)}."


def _headlines(names: Mapping[Column, str]) -> str:
    columns: dict[str, list[str]] = defaultdict(list)
    for column, name in names.items():
        columns[column.headline].append(name.removesuffix(f" ({column.headline})"))
    if len(columns) == 1:
        return next(iter(columns))
    return "; ".join(f"{headline} ({', '.join(its_columns)})" for headline, its_columns in columns.items())


def _implied_choices(placed: Sequence[PlacedRun]) -> Iterator[str]:
    """Names the choices that differ among the rows, but follow from what the rows say."""
    for name, other in (("merger", "trainer"), ("trainer", "merger")):
        choices = [one.run.result["choices"] for one in placed]
        in_rows = any(f"{name}._target_" in one.row or name in one.row or "+method" in one.row for one in placed)
        if len({chosen[name] for chosen in choices}) > 1 and not in_rows:
            pairs = dict.fromkeys((chosen[other], chosen[name]) for chosen in choices)
            yield f"{name}: " + ", ".join(f"{choice} with {other}={cause}" for cause, choice in pairs) + "."


def _hidden_settings(placed: Sequence[PlacedRun]) -> Iterator[str]:
    """Names settings in which runs differ, though no row's name says so.

    A row may differ from column to column. And a choice of a merger brings settings of the merger alone: where rows
    of one trainer differ in its settings, these were typed.
    """
    in_rows = _values(placed, lambda one: one.row_name, ("trainer.", "merger."))
    for (row, name), values in in_rows.items():
        if len(values) > 1:
            yield f"{row}: {name} differs from column to column."
    of_trainers = _values(placed, lambda one: str(one.run.result["choices"]["trainer"]), ("trainer.",))
    for (_, name), values in of_trainers.items():
        if len(values) > 1 and all(len(found) <= 1 for (_, own), found in in_rows.items() if own == name):
            each = (f"{value} ({', '.join(sorted(rows))})" for value, rows in sorted(values.items()))
            yield f"{name}: {'; '.join(each)}."


def _values(
    placed: Sequence[PlacedRun], group: Callable[[PlacedRun], str], prefixes: tuple[str, ...]
) -> dict[tuple[str, str], dict[str, set[str]]]:
    """By group and setting, each value with the rows that have it, of settings that differ and are in no row's name."""
    groups = {id(one.run.result): group(one) for one in placed}
    settings = differing([one.run.result for one in placed], lambda result: groups[id(result)])
    found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one, own in zip(placed, settings, strict=True):
        for name in sorted(own.keys() - one.row.keys()):
            if name.startswith(prefixes):
                found[group(one), name][typed_value(own[name])].add(one.row_name)
    return found


def _shortened(words: Sequence[str]) -> str:
    if len(words) <= _MOST_SEEDS:
        return ", ".join(words)
    return f"{', '.join(words[: _MOST_SEEDS - 1])}, …, {words[-1]}"
