"""From records to the papers' tables, published numbers in columns of their own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cl_bench.reports.flags import flags
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.layouts import LAYOUTS, Layout, place
from cl_bench.reports.markdown import Result
from cl_bench.reports.methods import BOUNDS, position, readable
from cl_bench.reports.published import Reference, references, sources
from cl_bench.reports.rules import rules
from cl_bench.reports.runs import Run, distinct
from cl_bench.reports.scaling import chosen_flag, chosen_only
from cl_bench.reports.table import Cell, Row, Table
from cl_bench.runtime.errors import UserError

NAMES = tuple(f"{layout.name}{size}" for size in ("", "_mini") for layout in LAYOUTS)

_MEAN = "mean"


def tables(results: Sequence[Result]) -> list[Table]:
    """Every table that the records can fill, and a table of forgetting after each, in a fixed order.

    A record says by its `path` which table it is for: the one of the sweep below whose folder it lies, such as
    `multirun/table_cil/…`. Records of other sweeps (other λ, other orders of arrival) are in no table.
    """
    found = []
    for name in NAMES:
        own = [r for r in results if f"table_{name}" in Path(r.get("path", "")).absolute().parts]
        if chosen_only(_of(_layout(name), own))[0]:
            found += tables_named(name, own)
    return found


def tables_named(name: str, results: Sequence[Result]) -> list[Table]:
    """One table, from all of the records that are of its kind, and its table of forgetting if there is any.

    Runs of which nobody chose the λ are left out, and a note says so.

    Raises:
        UserError: None of the records is of its kind, or two of them cannot be told apart.
    """
    layout = _layout(name)
    chosen, left_out = chosen_only(_of(layout, results))
    if not chosen and left_out:
        raise UserError(f"There is nothing else for table {name}. {left_out}")
    if not chosen:
        kinds = " or ".join(sorted(layout.kinds))
        raise UserError(f"Table {name} is of {kinds} runs on test images, and there is none among these records.")
    runs = sorted(distinct(map(Run.of, chosen), _identity).values(), key=_place)
    both = [_table(name, layout, runs, metric) for metric in ("accuracy", "forgetting")]
    notes = (left_out,) if left_out else ()
    return [replace(table, notes=(*table.notes, *notes)) for table in both if table.rows]


def _layout(name: str) -> Layout:
    return next(layout for layout in LAYOUTS if layout.name == name.removesuffix("_mini"))


def _of(layout: Layout, results: Iterable[Result]) -> list[Result]:
    """Validation images are for choosing; tables are of test images."""
    kinds = {f"cl_bench.scenarios.{kind}" for kind in layout.kinds}
    return [r for r in results if r["split"] == "test" and r["config"].get("scenario", {}).get("_target_") in kinds]


def _identity(run: Run) -> tuple[str, str, int]:
    return run.method, run.scenario, run.seed


def _place(run: Run) -> tuple[tuple[int, str], tuple[float, str], int]:
    return place(run.scenario), position(run.method), run.seed


def _table(name: str, layout: Layout, runs: Sequence[Run], metric: str) -> Table:
    scenarios = list(dict.fromkeys(run.scenario for run in runs))
    if layout.datasets and len(scenarios) > 1:
        raise UserError(f"Table {name} is of one scenario, and these records are of {' and '.join(scenarios)}.")
    cells = _cells(layout, runs, metric)
    own = [column for column in _every_column(layout, runs) if any(column == c for _, c in cells)]
    beside = _beside(layout, own, scenarios, metric, methods={method for method, _ in cells})
    caption = (
        f"{layout.captions[metric]}; {_over(runs, max((len(cell.values) for cell in cells.values()), default=0))}."
    )
    cells |= {(r.method, column): Cell((r.value,), source=r.source, note=r.note) for r, column in beside.items()}
    columns = [
        c for column in own for c in (column, *sorted({c for c in beside.values() if c.startswith(f"{column} ref. ")}))
    ]
    return Table(
        name=name if metric == "accuracy" else f"{name}_{metric}",
        caption=caption,
        columns=tuple(columns),
        rows=tuple(
            Row(readable(m), {c: cells[m, c] for c in columns if (m, c) in cells}, competes=m not in BOUNDS)
            for m in sorted({method for method, _ in cells}, key=position)
        ),
        references=frozenset(beside.values()),
        higher_is_better=metric == "accuracy",
        notes=(*rules(runs), *_notes(beside), *_other_images(runs)),
    )


def _cells(layout: Layout, runs: Sequence[Run], metric: str) -> dict[tuple[str, str], Cell]:
    """Ours, by method and column."""
    odd = flags(runs)
    values: dict[tuple[str, str], dict[Run, float]] = defaultdict(dict)
    for run in runs:
        for column, value in _values(layout, run, metric).items():
            if value is not None:
                values[run.method, column][run] = value
    return {
        place: Cell(tuple(own.values()), (*_flags(list(own), odd), *chosen_flag(run.result for run in own)))
        for place, own in values.items()
    }


def _values(layout: Layout, run: Run, metric: str) -> dict[str, float | None]:
    """A run's numbers, by column."""
    kind = headline_kind(run.result)
    forgetting = run.result["metrics"][kind]["forgetting_max_minus_last"]
    overall = run.result["headline"]["value"] if metric == "accuracy" else forgetting
    if not layout.datasets:
        return {run.scenario: overall}
    if metric != "accuracy":
        return {_MEAN: overall}
    arrival, last = _arrival(run), run.result["matrix"][kind][-1]
    if len(arrival) != len(last):
        raise UserError(f"{run.place} is damaged: {len(arrival)} data sets arrived, and its matrix has {len(last)}.")
    return {**dict(zip(arrival, last, strict=True)), _MEAN: overall}


def _arrival(run: Run) -> list[str]:
    """The data sets of a run as its configuration calls them, in order of arrival."""
    from cl_bench.scenarios.order import resolve  # loads Avalanche

    if not isinstance(datasets := run.result["config"]["scenario"].get("datasets"), Mapping):
        raise UserError(f"{run.place} is damaged: its scenario has no datasets.")
    names = list(datasets)
    return [names[i] for i in resolve(run.order, names, "datasets", "dataset_order", some=True)]


def _every_column(layout: Layout, runs: Sequence[Run]) -> list[str]:
    """Ours, in the papers' order, whether or not there is a number."""
    if layout.datasets:
        return [*runs[0].result["config"]["scenario"]["datasets"], _MEAN]
    return list(dict.fromkeys(run.scenario for run in runs))


def _flags(runs: Sequence[Run], odd: Mapping[Run, tuple[str, ...]]) -> tuple[str, ...]:
    """Of a cell: what all its runs do differently, and what some do."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        for text in odd.get(run, ()):
            seeds[text].append(run.seed)
    return tuple(text if len(s) == len(runs) else f"{text} ({_seeds(s)})" for text, s in seeds.items())


def _beside(
    layout: Layout, own: Sequence[str], scenarios: Sequence[str], metric: str, methods: set[str]
) -> dict[Reference, str]:
    """Published numbers and their columns: one for each source, beside the column of ours."""
    found = {}
    for reference in references():
        column = _MEAN if layout.datasets else reference.scenario
        shown = layout.published_rows or reference.method in methods
        if reference.metric == metric and reference.scenario in scenarios and column in own and shown:
            found[reference] = f"{column} ref. {sources()[reference.source]}"
    return found


def _other_images(runs: Iterable[Run]) -> Iterator[str]:
    """Where the images of columns lie that have the name in common."""
    roots = {run.scenario: str(run.result["config"].get("dataset", {}).get("root", "")) for run in runs if run.is_alike}
    if roots:
        where = ", ".join(f"{scenario} from {root}" if root else scenario for scenario, root in sorted(roots.items()))
        yield f"Other images under one name, by the beginning of their SHA-256: {where}; dataset.name=… renames them."


def _over(runs: Sequence[Run], most: int) -> str:
    seeds = _seeds(sorted({run.seed for run in runs}))
    spread = f"mean ± the sample's standard deviation over {seeds}, n = {most} where the cell says nothing else"
    return spread if most > 1 else seeds


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _notes(published: Iterable[Reference]) -> Iterator[str]:
    for source, letter in sources().items():
        kinds = sorted({r.kind for r in published if r.source == source})
        if kinds:
            yield f"ref. {letter}, reference, not ours: {source}, {', '.join(kinds)}."
