"""The papers' tables from records, with published numbers in columns of their own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cl_bench.reports.headline import headline_kind, with_headline
from cl_bench.reports.names import BOUNDS, method_position, papers_name
from cl_bench.reports.records import Result
from cl_bench.reports.runs import RecordedRun, distinct
from cl_bench.reports.scaling import chosen_flag, chosen_only
from cl_bench.reports.scenario_names import scenario_position
from cl_bench.reports.shown import value_of
from cl_bench.reports.tables.flags import flags
from cl_bench.reports.tables.groups import apart, grouped
from cl_bench.reports.tables.layouts import LAYOUTS, Layout
from cl_bench.reports.tables.published import Reference, references, sources
from cl_bench.reports.tables.recorded_notes import recorded_notes
from cl_bench.reports.tables.rules import rules
from cl_bench.reports.tables.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError

NAMES = tuple(f"{layout.name}{size}" for size in ("", "_mini") for layout in LAYOUTS)
"""What may be typed as the name of a table."""

_MEAN = "mean"


def all_papers_tables(results: Sequence[Result]) -> list[Table]:
    """Makes every table that the records can fill, each followed by its table of forgetting, in a fixed order.

    The `path` of a record says which table it belongs to: that of the sweep below whose folder it lies, such as
    `multirun/table_cil/…`. Records of other sweeps (other λ, other orders of arrival) enter no table.
    """
    found = []
    for name in NAMES:
        of_sweep = [r for r in results if f"table_{name}" in Path(r.get("path", "")).absolute().parts]
        if chosen_only(with_headline(_fitting(_layout(name), of_sweep))[0])[0]:
            found += papers_table(name, of_sweep)
    return found


def papers_table(name: str, results: Sequence[Result]) -> list[Table]:
    """Makes one table from all records that fit it, and its table of forgetting if there is any.

    Runs whose λ nobody chose are left out, and a note says so.

    Raises:
        UserError: None of the records fits the table, or two of them cannot be told apart.
    """
    layout = _layout(name)
    fitting, without = with_headline(_fitting(layout, results))
    chosen, left_out = chosen_only(fitting)
    notes = tuple(filter(None, (left_out, without)))
    if not chosen and notes:
        raise UserError(f"There is nothing else for table {name}. {' '.join(notes)}")
    if not chosen:
        kinds = " or ".join(sorted(layout.kinds))
        raise UserError(f"Table {name} is of {kinds} runs on test images, and there is none among these records.")
    runs = sorted(distinct(map(RecordedRun.of, chosen), _identity).values(), key=_position)
    both = [_table(name, layout, runs, metric) for metric in ("accuracy", "forgetting")]
    return [replace(table, notes=(*table.notes, *notes)) for table in both if table.rows]


def _layout(name: str) -> Layout:
    return next(layout for layout in LAYOUTS if layout.name == name.removesuffix("_mini"))


def _fitting(layout: Layout, results: Iterable[Result]) -> list[Result]:
    """Keeps runs on test images: validation images are for choosing settings."""
    kinds = {f"cl_bench.scenarios.{kind}" for kind in layout.kinds}
    return [r for r in results if r["split"] == "test" and r["config"].get("scenario", {}).get("_target_") in kinds]


def _identity(run: RecordedRun) -> tuple[str, str, int]:
    return run.method, run.scenario, run.seed


def _position(run: RecordedRun) -> tuple[tuple[int, str], tuple[float, str], int]:
    return scenario_position(run.scenario), method_position(run.method), run.seed


def _table(name: str, layout: Layout, runs: Sequence[RecordedRun], metric: str) -> Table:
    scenarios = list(dict.fromkeys(run.scenario for run in runs))
    if layout.columns_are_datasets and len(scenarios) > 1:
        raise UserError(f"Table {name} is of one scenario, and these records are of {' and '.join(scenarios)}.")
    cells = _cells(layout, runs, metric)
    ours = [column for column in _every_column(layout, runs) if any(column == c for _, c in cells)]
    published = _published(layout, ours, scenarios, metric, methods={method for method, _ in cells})
    most = max((len(cell.values) for cell in cells.values()), default=0)
    cells |= {(r.method, column): Cell((r.value,), source=r.source, note=r.note) for r, column in published.items()}
    references = frozenset(published.values())
    columns = [
        c for column in ours for c in (column, *sorted(r for r in references if r.startswith(f"{column} ref. ")))
    ]
    names = {run.method: run.name for run in runs}
    return Table(
        name=name if metric == "accuracy" else f"{name}_{metric}",
        caption=f"{layout.captions[metric]}; {_repetitions(runs, most)}.",
        columns=tuple(columns),
        rows=grouped(
            (
                Row(names.get(m, papers_name(m)), {c: cells[m, c] for c in columns if (m, c) in cells}, m not in BOUNDS)
                for m in sorted({method for method, _ in cells}, key=method_position)
            ),
            apart((run.name, run) for run in runs),
        ),
        references=references,
        higher_is_better=metric == "accuracy",
        notes=(*rules(runs), *recorded_notes(runs), *_source_notes(published), *_namesake_notes(runs)),
    )


def _cells(layout: Layout, runs: Sequence[RecordedRun], metric: str) -> dict[tuple[str, str], Cell]:
    """Our own cells, by method and column."""
    found = flags(runs)
    values: dict[tuple[str, str], dict[RecordedRun, float]] = defaultdict(dict)
    for run in runs:
        for column, value in _values(layout, run, metric).items():
            if value is not None:
                values[run.method, column][run] = value
    return {
        place: Cell(tuple(of_runs.values()), (*_flags(list(of_runs), found), *chosen_flag(r.result for r in of_runs)))
        for place, of_runs in values.items()
    }


def _values(layout: Layout, run: RecordedRun, metric: str) -> dict[str, float | None]:
    """A run's numbers, by column."""
    kind = headline_kind(run.result)
    overall = value_of(run.result, metric)
    if not layout.columns_are_datasets:
        return {run.scenario: overall}
    if metric != "accuracy":
        return {_MEAN: overall}
    arrival, last = _arrival(run), run.result["matrix"][kind][-1]
    if len(arrival) != len(last):
        raise UserError(f"{run.place} is damaged: {len(arrival)} data sets arrived, and its matrix has {len(last)}.")
    return {**dict(zip(arrival, last, strict=True)), _MEAN: overall}


def _arrival(run: RecordedRun) -> list[str]:
    """The data sets of a run, as its configuration calls them, in order of arrival."""
    from cl_bench.scenarios.order import resolve  # loads Avalanche

    if not isinstance(datasets := run.result["config"]["scenario"].get("datasets"), Mapping):
        raise UserError(f"{run.place} is damaged: its scenario has no datasets.")
    names = list(datasets)
    return [names[i] for i in resolve(run.order, names, "datasets", "dataset_order", some=True)]


def _every_column(layout: Layout, runs: Sequence[RecordedRun]) -> list[str]:
    """Our own columns in the papers' order, whether or not there is a number."""
    if layout.columns_are_datasets:
        return [*runs[0].result["config"]["scenario"]["datasets"], _MEAN]
    return list(dict.fromkeys(run.scenario for run in runs))


def _flags(runs: Sequence[RecordedRun], found: Mapping[RecordedRun, tuple[str, ...]]) -> tuple[str, ...]:
    """What all runs of a cell do differently, and what some do, with their seeds."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        for text in found.get(run, ()):
            seeds[text].append(run.seed)
    return tuple(text if len(s) == len(runs) else f"{text} ({_seeds(s)})" for text, s in seeds.items())


def _published(
    layout: Layout, ours: Sequence[str], scenarios: Sequence[str], metric: str, methods: set[str]
) -> dict[Reference, str]:
    """Published numbers and their columns: one for each source, beside the column of ours."""
    found = {}
    for reference in references():
        column = _MEAN if layout.columns_are_datasets else reference.scenario
        has_row = layout.has_published_rows or reference.method in methods
        if reference.metric == metric and reference.scenario in scenarios and column in ours and has_row:
            found[reference] = f"{column} ref. {sources()[reference.source]}"
    return found


def _namesake_notes(runs: Iterable[RecordedRun]) -> Iterator[str]:
    """Says where the images lie of scenarios that share a name."""
    configs = {run.scenario: run.result["config"] for run in runs if run.has_namesakes}
    roots = {scenario: str(config.get("dataset", {}).get("root", "")) for scenario, config in configs.items()}
    if roots:
        where = ", ".join(f"{scenario} from {root}" if root else scenario for scenario, root in sorted(roots.items()))
        yield f"Other images under one name, by the beginning of their SHA-256: {where}; dataset.name=… renames them."


def _repetitions(runs: Sequence[RecordedRun], most: int) -> str:
    seeds = _seeds(sorted({run.seed for run in runs}))
    spread = f"mean ± the sample's standard deviation over {seeds}, n = {most} where the cell says nothing else"
    return spread if most > 1 else seeds


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _source_notes(published: Iterable[Reference]) -> Iterator[str]:
    for source, letter in sources().items():
        kinds = sorted({r.kind for r in published if r.source == source})
        if kinds:
            yield f"ref. {letter}, reference, not ours: {source}, {', '.join(kinds)}."
