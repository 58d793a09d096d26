"""A table of any sweep: rows are what its runs differ in, as it was typed; columns are what was measured.

Seeds and orders of arrival are what a mean is over. Runs on other images, with another number of tasks or another kind
of accuracy have a column of their own. A run with a list of λ of which nobody chose one has a row for each λ.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cl_bench.reports.headline import headline_kind
from cl_bench.reports.layouts import place
from cl_bench.reports.markdown import Result
from cl_bench.reports.methods import BOUNDS, position
from cl_bench.reports.rules import rules
from cl_bench.reports.runs import Run, distinct
from cl_bench.reports.scaling import HOW_TO_CHOOSE, at_each, chosen_flag, is_unchosen
from cl_bench.reports.settings import Settings, differing, typed
from cl_bench.reports.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError

_CHOICES = ("+method", "trainer", "merger", "backbone", "optim")  # each brings settings of its own
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class _Column:
    """What was measured.

    Attributes:
        images: Name and content of each data set, whatever their order of arrival.
    """

    scenario: str
    split: str
    headline: str
    tasks: int
    images: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, run: Run) -> "_Column":
        result = run.result
        tasks = len(result["matrix"][headline_kind(result)][0])
        images = tuple(sorted((data["name"], data["images"]) for data in result["datasets"]))
        return cls(run.scenario, result["split"], result["headline"]["name"], tasks, images)

    def told(self, field: str) -> str:
        """One of its attributes, where the scenario's name is not enough."""
        return {
            "split": f"{self.split} images",
            "headline": self.headline,
            "tasks": f"{self.tasks} tasks",
            "images": "images " + ", ".join(content[:8] for _, content in self.images),
        }[field]


def swept(results: Sequence[Result]) -> list[Table]:
    """The table of the headline, and its table of forgetting if there is any.

    Raises:
        UserError: There are no records, or two of one place in the table that contradict each other. Names both.
    """
    each = [one for result in results for one in at_each(result)]
    if not each:
        raise UserError("There are no runs for a table.")
    runs = [Run.of(one) for one in each]
    columns = [_Column.of(run) for run in runs]
    choices = _differing_choices(runs, columns)
    of_choices = [
        dict(_typed_choice(name, chosen) for name in choices if (chosen := _choice(run, name))) for run in runs
    ]
    alike = {id(run.result): (column, typed(own)) for run, column, own in zip(runs, columns, of_choices, strict=True)}
    settings = differing(each, lambda result: alike[id(result)])
    rows = [{**own, **others} for own, others in zip(of_choices, settings, strict=True)]
    lists = sum(map(is_unchosen, results))
    placed = [_Placed(*one) for one in zip(runs, columns, rows, strict=True)]
    chosen_on = all(run.result["split"] == "validation" for run in runs)
    competes = (chosen_on or not (any(settings) or lists)) and _repeated_alike(placed)
    both = [_table(placed, metric, competes, lists) for metric in ("accuracy", "forgetting")]
    return [table for table in both if table.rows]


@dataclass(frozen=True)
class _Placed:
    """A run and its place in the table."""

    run: Run
    column: _Column
    row: Settings

    @property
    def place(self) -> tuple[_Column, str]:
        return self.column, typed(self.row)

    def value(self, metric: str) -> float | None:
        result = self.run.result
        if metric == "accuracy":
            return result["headline"]["value"]
        return (result["metrics"].get(headline_kind(result)) or {}).get("forgetting_max_minus_last")


def _repeated_alike(placed: Sequence[_Placed]) -> bool:
    """Whether all rows of each column are means over the same seeds and orders of arrival."""
    repeated: dict[_Column, dict[str, set[tuple[int, str]]]] = defaultdict(lambda: defaultdict(set))
    for one in placed:
        if one.run.method not in BOUNDS:
            repeated[one.column][typed(one.row)].add((one.run.seed, repr(one.run.order)))
    return all(len(set(map(frozenset, of_rows.values()))) == 1 for of_rows in repeated.values())


def _choice(run: Run, name: str) -> str | None:
    """What was chosen of a group."""
    return run.result["config"].get("method") if name == "+method" else run.result["choices"].get(name)


def _typed_choice(name: str, chosen: str) -> tuple[str, str]:
    """A class of one's own is no choice of a group, and is typed otherwise."""
    return (f"{name}._target_" if "." in chosen else name), chosen


def _differing_choices(runs: Sequence[Run], columns: Sequence[_Column]) -> list[str]:
    """Names of the choices that tell runs of a column apart; none that follows from those before it."""
    names: list[str] = []
    all_named = all(_choice(run, "+method") for run in runs)  # else the same runs could have two names
    for name in _CHOICES if all_named else _CHOICES[1:]:
        found: dict[Hashable, set[str | None]] = defaultdict(set)
        for run, column in zip(runs, columns, strict=True):
            found[column, tuple(_choice(run, known) for known in names)].add(_choice(run, name))
        if any(len(values) > 1 for values in found.values()):
            names.append(name)
    return names


def _table(placed: Sequence[_Placed], metric: str, competes: bool, lists: int) -> Table:
    kept = distinct(
        (one.run for one in placed),
        {one.run: (one.place, one.run.seed, repr(one.run.order)) for one in placed}.__getitem__,
    ).values()
    by_run = {one.run: one for one in placed}
    in_order = sorted((by_run[run] for run in kept), key=_order)
    names = _names(list(dict.fromkeys(one.column for one in in_order)))
    values: dict[str, dict[str, dict[Run, float]]] = defaultdict(lambda: defaultdict(dict))
    for one in in_order:
        if (value := one.value(metric)) is not None:
            values[typed(one.row) or one.run.method][names[one.column]][one.run] = value
    cells = {row: {column: _cell(own) for column, own in found.items()} for row, found in values.items()}
    bounds = {typed(one.row) or one.run.method for one in in_order if one.run.method in BOUNDS}
    most = max((len(cell.values) for found in cells.values() for cell in found.values()), default=1)
    return Table(
        name="sweep" if metric == "accuracy" else "sweep_forgetting",
        caption=_caption(metric, [one.run for one in in_order], most),
        columns=tuple(names.values()),
        rows=tuple(Row(row, found, competes=competes and row not in bounds) for row, found in cells.items()),
        higher_is_better=metric == "accuracy",
        notes=tuple(_notes(names, in_order, lists)),
    )


def _cell(values: Mapping[Run, float]) -> Cell:
    """With the λ that its runs chose."""
    return Cell(tuple(values.values()), flags=chosen_flag(run.result for run in values))


def _order(one: _Placed) -> tuple[Any, ...]:
    """By column, method, and settings, numbers as numbers."""
    words = [_numbers(f"{name}={value}") for name, value in one.row.items()]
    scenario, name = place(one.column.scenario)
    return scenario, _numbers(name), position(one.run.method), words, one.run.seed, repr(one.run.order)


def _numbers(text: str) -> list[tuple[int, float, str]]:
    """What a text is sorted by: words by their letters, numbers by what they are."""
    parts, end = [], 0
    for found in _NUMBER.finditer(text):
        parts += [(1, 0.0, text[end : found.start()]), (0, float(found.group()), "")]
        end = found.end()
    return [*parts, (1, 0.0, text[end:])]


def _names(columns: Sequence[_Column]) -> dict[_Column, str]:
    """A name for each column: the scenario's, with what else tells those of one name apart."""
    names = {}
    for column in columns:
        others = [one for one in columns if one.scenario == column.scenario and one != column]
        fields = ("split", "tasks", "headline", "images")
        apart = [f for f in fields if any(getattr(one, f) != getattr(column, f) for one in others)]
        told = ", ".join(column.told(field) for field in apart)
        names[column] = f"{column.scenario} ({told})" if told else column.scenario
    return names


def _caption(metric: str, runs: Sequence[Run], most: int) -> str:
    splits = " or ".join(sorted({run.result["split"] for run in runs}))
    what = {
        "accuracy": f"Accuracy after the last task, in percent of the {splits} images",
        "forgetting": "How far tasks but the last fell from their best accuracy (max minus last), in points",
    }[metric]
    seeds, orders = sorted({run.seed for run in runs}), {repr(run.order) for run in runs}
    over = f"seed{'s' * (len(seeds) > 1)} {_shortened([str(seed) for seed in seeds])}"
    over += f" and {len(orders)} orders of arrival" if len(orders) > 1 else ""
    spread = f"mean ± the sample's standard deviation over {over}, n = {most} where the cell says nothing else"
    return f"{what}; {spread if most > 1 else over}."


def _unnamed(placed: Sequence[_Placed]) -> Iterator[str]:
    """Choices that differ among the rows, but follow from what the rows name."""
    for name, named in (("merger", "trainer"), ("trainer", "merger")):
        choices = [one.run.result["choices"] for one in placed]
        shown = any(f"{name}._target_" in one.row or name in one.row or "+method" in one.row for one in placed)
        if len({chosen[name] for chosen in choices}) > 1 and not shown:
            pairs = dict.fromkeys((chosen[named], chosen[name]) for chosen in choices)
            yield f"{name}: " + ", ".join(f"{mine} with {named}={its}" for its, mine in pairs) + "."


def _shortened(words: Sequence[str], most: int = 12) -> str:
    return ", ".join(words) if len(words) <= most else f"{', '.join(words[: most - 1])}, …, {words[-1]}"


def _notes(names: dict[_Column, str], placed: Sequence[_Placed], lists: int) -> list[str]:
    notes, runs = [], [one.run for one in placed]
    headlines: dict[str, list[str]] = defaultdict(list)
    for column, name in names.items():
        headlines[column.headline].append(name)
    if len(headlines) == 1:
        notes.append(f"The accuracy is {next(iter(headlines))}.")
    else:
        told = (f"{headline} ({', '.join(columns)})" for headline, columns in headlines.items())
        notes.append(f"The accuracy is {'; '.join(told)}.")
    common = {name: {run.result["choices"][name] for run in runs} for name in ("trainer", "merger")}
    if same := typed({name: found.pop() for name, found in common.items() if len(found) == 1}):
        notes.append(f"All runs have {same}.")
    notes += [*_unnamed(placed), *rules(runs)]
    if not _repeated_alike(placed):
        notes.append("Rows are of other seeds or orders of arrival than each other, so none of them is the best.")
    if lists:
        notes.append(f"No λ was chosen where merger.scaling was a list, so each has a row. {HOW_TO_CHOOSE}.")
    for name in ("cl_bench", "torch"):
        versions = sorted({run.result["versions"].get(name, "unknown") for run in runs})
        if len(versions) > 1:
            notes.append(f"These runs are of several versions of {name}: {', '.join(versions)}.")
    if len(devices := sorted({run.result["devices"]["kind"] for run in runs})) > 1:
        notes.append(f"These runs are of several devices: {', '.join(devices)}.")
    return notes
