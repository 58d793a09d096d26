"""Tables over orders of arrival: several data sets one after another, as the field of continual merging reports them.

`opcm` has a column for each scenario and backbone, `mtil` one for each of MTIL's metrics. Beside the methods stand what
nobody merged: zero-shot, and each task's own weights.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.evaluation.metrics import METRICS
from cl_bench.reports.headline import headline_kind, with_headline
from cl_bench.reports.names import BOUNDS, method_position
from cl_bench.reports.records import Result
from cl_bench.reports.runs import RecordedRun, distinct
from cl_bench.reports.scaling import chosen_flag, chosen_only
from cl_bench.reports.scenario_names import scenario_position
from cl_bench.reports.shown import ACCURACY, higher_is_better, value_of
from cl_bench.reports.tables.flags import flags
from cl_bench.reports.tables.groups import apart, grouped
from cl_bench.reports.tables.recorded_notes import recorded_notes
from cl_bench.reports.tables.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError

_ORDER = "dataset_order "  # how a flag begins that says in which order the tasks arrived
_OUR_SPLITS = ("mtil", "x_tail")

_Columns: TypeAlias = Mapping[str, tuple[str, str, str]]
"""Scenario, encoder and metric of each column, by its name."""


@dataclass(frozen=True)
class _Layout:
    """A table, and its miniature, which is laid out alike.

    Attributes:
        metrics: What it shows: one table of each, or all in one.
        in_one: Whether the metrics are columns of one table.
    """

    metrics: tuple[str, ...]
    in_one: bool = False


_LAYOUTS = {
    "opcm": _Layout((ACCURACY, "backward_transfer")),
    "mtil": _Layout(("mtil_transfer", "mtil_average", ACCURACY), in_one=True),
}
NAMES = tuple(f"{name}{size}" for size in ("", "_mini") for name in _LAYOUTS)
"""What may be typed as the name of a table."""


def all_tables_over_orders(results: Sequence[Result]) -> list[Table]:
    """Makes every table that the records can fill; a record belongs to the sweep below whose folder it lies."""
    found = []
    for name in NAMES:
        of_sweep = [r for r in results if f"table_{name}" in Path(r.get("path", "")).absolute().parts]
        if chosen_only(with_headline(_fitting(of_sweep))[0])[0]:
            found += table_over_orders(name, of_sweep)
    return found


def table_over_orders(name: str, results: Sequence[Result]) -> list[Table]:
    """Makes one of these tables, or two, from all records that fit it.

    Raises:
        UserError: None of the records fits, or two of them cannot be told apart.
    """
    layout = _LAYOUTS[name.removesuffix("_mini")]
    fitting, without = with_headline(_fitting(results))
    chosen, left_out = chosen_only(fitting)
    missing = [*filter(None, [left_out, without])]
    if not chosen:
        why = " ".join(missing) or "There is none of these here."
        raise UserError(f"Table {name} is of runs on several data sets. {why}")
    runs = sorted(distinct(map(RecordedRun.of, chosen), _identity).values(), key=_position)
    notes = [*_notes(name, runs), *recorded_notes(runs), *missing]
    parts = [layout.metrics] if layout.in_one else [(metric,) for metric in layout.metrics]
    return [table for metrics in parts if (table := _table(name, runs, metrics, notes)).rows]


def _fitting(results: Sequence[Result]) -> list[Result]:
    target = "cl_bench.scenarios.SeveralDatasets"
    return [r for r in results if r["split"] == "test" and r["config"].get("scenario", {}).get("_target_") == target]


def _identity(run: RecordedRun) -> tuple[Any, ...]:
    return run.method, run.scenario, _encoder(run), run.seed, repr(run.order)


def _position(run: RecordedRun) -> tuple[Any, ...]:
    return scenario_position(run.scenario), _encoder(run), method_position(run.method), run.seed, repr(run.order)


def _encoder(run: RecordedRun) -> str:
    """The backbone; where the head is not made of words, with the head, since their accuracies differ in kind."""
    backbone: Mapping[str, Any] = run.result["config"].get("backbone", {})
    name = str(backbone.get("model") or run.result["choices"].get("backbone", "")).removesuffix("-quickgelu")
    head = run.result["choices"].get("head", "zero_shot")
    return name if head == "zero_shot" else f"{name} with {head}"


def _table(name: str, runs: Sequence[RecordedRun], metrics: Sequence[str], notes: Sequence[str]) -> Table:
    columns, flagged = _columns(runs, metrics), _flagged(runs)
    bounds = [
        Row("Zero-shot", _one_each(columns, runs, _zero_shot), competes=False),
        Row("Individual experts", _one_each(columns, runs, _experts), competes=False),
    ]
    methods = dict.fromkeys(run.method for run in sorted(runs, key=lambda run: _row_position(run.method)))
    rows = [
        Row(next(run.name for run in runs if run.method == method), cells, method not in BOUNDS)
        for method in methods
        if method != "zero_shot" and (cells := _cells(columns, [run for run in runs if run.method == method], flagged))
    ]
    return Table(
        name=name if metrics[0] == ACCURACY or len(metrics) > 1 else f"{name}_{metrics[0]}",
        caption=f"{_caption(runs, metrics)}; {_repetitions(runs)}.",
        columns=tuple(columns),
        rows=grouped((row for row in (*bounds, *rows) if row.cells), apart((run.name, run) for run in runs)),
        higher_is_better=all(map(higher_is_better, metrics)),
        notes=tuple(notes),
    )


def _row_position(method: str) -> tuple[bool, tuple[float, str]]:
    return method not in BOUNDS, method_position(method)


def _columns(runs: Sequence[RecordedRun], metrics: Sequence[str]) -> _Columns:
    """Each column's name, with its scenario, encoder and metric."""
    scenarios, encoders = {run.scenario for run in runs}, {_encoder(run) for run in runs}
    columns = {}
    for scenario, encoder in dict.fromkeys((run.scenario, _encoder(run)) for run in runs):
        where = [scenario] if len(scenarios) > 1 or len(metrics) == 1 else []
        where += [encoder] if len(encoders) > 1 else []
        for metric in metrics:
            title = [_title(metric)] if len(metrics) > 1 else []
            columns[", ".join([*where, *title])] = (scenario, encoder, metric)
    return columns


def _title(metric: str) -> str:
    return "Last" if metric == ACCURACY else METRICS[metric].title


def _cells(
    columns: _Columns, runs: Sequence[RecordedRun], flagged: Mapping[RecordedRun, Sequence[str]]
) -> dict[str, Cell]:
    cells = {}
    for column, (scenario, encoder, metric) in columns.items():
        here = [run for run in runs if (run.scenario, _encoder(run)) == (scenario, encoder)]
        values = {run: value for run in here if (value := value_of(run.result, metric)) is not None}
        if values:
            counts = Counter(text for run in here for text in flagged.get(run, ()))
            odd = [f"{text} ({count} of {len(here)} runs)" for text, count in counts.items()]
            cells[column] = Cell(tuple(values.values()), (*odd, *chosen_flag(run.result for run in values)))
    return cells


def _flagged(runs: Sequence[RecordedRun]) -> dict[RecordedRun, list[str]]:
    """What runs do differently from the others of their column; that each has its own order is meant."""
    places: dict[tuple[str, str], list[RecordedRun]] = defaultdict(list)
    for run in runs:
        places[run.scenario, _encoder(run)].append(run)
    found = [flags(beside) for beside in places.values()]
    return {run: [t for t in texts if not t.startswith(_ORDER)] for each in found for run, texts in each.items()}


def _one_each(
    columns: _Columns, runs: Sequence[RecordedRun], value: Callable[[Result, str], float | None]
) -> dict[str, Cell]:
    """The cells of what nobody merged: each value once, since runs in other orders find the same."""
    cells = {}
    for column, (scenario, encoder, metric) in columns.items():
        here = [run.result for run in runs if (run.scenario, _encoder(run)) == (scenario, encoder)]
        found = dict.fromkeys(round(number, 6) for result in here if (number := value(result, metric)) is not None)
        if found:
            cells[column] = Cell(tuple(found))
    return cells


def _zero_shot(result: Result, metric: str) -> float | None:
    """What θ₀ would have if it were the model after every task; it has no backward transfer."""
    row = result["matrix"][headline_kind(result)][0]
    before_they_are_learned = row[1:] if metric == "mtil_transfer" else row
    if metric == "backward_transfer" or None in row or not before_they_are_learned:
        return None
    return float(sum(before_they_are_learned) / len(before_they_are_learned))


def _experts(result: Result, metric: str) -> float | None:
    """The accuracy of each task's own weights on its own task, averaged over tasks."""
    if metric != ACCURACY or result["choices"]["trainer"] not in ("imported", "independent"):
        return None  # other trainers' weights have learned earlier tasks, too
    of_kinds = (result.get("finetuned") or {}).get("metrics") or {}
    found: float | None = (of_kinds.get(headline_kind(result)) or {}).get("plasticity")
    return found


def _caption(runs: Sequence[RecordedRun], metrics: Sequence[str]) -> str:
    aware = all(headline_kind(run.result) == "task_aware" for run in runs)
    among = "each data set's own classes" if aware else "the classes that the scenario's headline is among"
    if len(metrics) > 1:
        what = "MTIL's Transfer (before tasks are learned), Avg (over all times) and Last"
    else:
        caption = "mean accuracy after the last task" if metrics[0] == ACCURACY else METRICS[metrics[0]].caption
        what = caption[:1].lower() + caption[1:]
    return f"Data sets one after another: {what}; accuracies are among {among}, in percent, with equal weights"


def _repetitions(runs: Sequence[RecordedRun]) -> str:
    orders, seeds = len({repr(run.order) for run in runs}), sorted({run.seed for run in runs})
    over = [f"{orders} orders of arrival"] if orders > 1 else []
    over.append(f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}")
    return (
        f"mean ± the sample's standard deviation over {' and '.join(over)}" if orders > 1 or len(seeds) > 1 else over[0]
    )


def _notes(name: str, runs: Sequence[RecordedRun]) -> Iterator[str]:
    if name.startswith("opcm") and any(str(run.order).startswith("published_") for run in runs):
        yield (
            "The orders published_42 to published_51 are those of NUFILT and MINGLE. OPCM's own cannot be had: these "
            "are as many, not the same."
        )
    if name.startswith("opcm") and any(isinstance(run.order, int) for run in runs):
        yield "Orders that are numbers are drawn from that seed; nobody has published them."
    if ours := [scenario for scenario in _OUR_SPLITS if any(run.scenario == scenario for run in runs)]:
        yield (
            f"{' and '.join(ours)}: sun397, eurosat, dtd, aircraft and caltech101 are split as they are here, not as "
            "in the publications, so no published number stands beside these."
        )
