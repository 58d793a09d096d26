"""Accuracy over λ."""

import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeAlias

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from cl_bench.analyses.source import describe
from cl_bench.reports.figures.drawing import Drawing, marker_every, panels, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, looks
from cl_bench.reports.headline import headline_at, headline_kind
from cl_bench.reports.names import in_order, merger_label, trainer_label
from cl_bench.reports.records import Result
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.scaling import scaling_of
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.settings import differing, typed

NEEDS = "a run with merger.scaling as a list of three λ at least, or as many runs with one each"
_FEWEST = 3

_SCALING = "merger.scaling"

Line: TypeAlias = Mapping[float, Mapping[Hashable, float]]
"""A method's headline by λ and by repetition (seed and order of arrival)."""


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a panel per trainer, a line per merger; means over seeds, with standard deviations."""
    for scenario in records.scenarios:
        results = [result for result in records.results if scenario_name(result) == scenario]
        lines = {method: line for method, line in _lines(results).items() if len(line) >= _FEWEST}
        if not lines:
            continue
        trainers = in_order(dict.fromkeys(trainer for trainer, _ in lines))
        mergers = in_order(dict.fromkeys(merger for _, merger in lines))
        ncols = 2 if len(trainers) == 1 else 4
        figure, axes = panels(len(trainers), 2.6, 2.3 + 0.15 * len(mergers) / ncols, sharey=True)
        handles: dict[str, Artist] = {}
        for axis, trainer in zip(axes, trainers, strict=True):
            for merger, drawn in looks(mergers).items():
                if (trainer, merger) in lines:
                    handles[merger] = _draw(axis, merger, drawn, lines[trainer, merger])
            if (
                zero_shot := next((value for value in map(_zero_shot, results) if value is not None), None)
            ) is not None:
                handles["zero-shot (λ = 0)"] = axis.axhline(zero_shot, **REFERENCE)
            axis.set(xlabel="scaling λ", title=trainer)
            axis.set_xlim(left=0)
        axes[0].set_ylabel("accuracy after the last task (%)")
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=ncols)
        set_title(figure, scenario)
        counts = sorted({len(values) for line in lines.values() for values in line.values()})
        number = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: test accuracy of the merged model after the last task over the scaling λ of the merged task "
            f"vector, mean and standard deviation over seeds (n = {number}).",
        )


def _draw(axis: Axes, name: str, drawn: Mapping[str, Any], line: Line) -> Artist:
    scalings = sorted(line)
    seeds = [list(line[scaling].values()) for scaling in scalings]
    means = [statistics.mean(values) for values in seeds]
    spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in seeds]
    (artist,) = axis.plot(scalings, means, label=name, markevery=marker_every(len(scalings)), **drawn)
    low, high = ([mean + sign * one for mean, one in zip(means, spread, strict=True)] for sign in (-1, 1))
    axis.fill_between(scalings, low, high, color=drawn["color"], alpha=0.15, linewidth=0)
    return artist


def _lines(results: list[Result]) -> Mapping[tuple[str, str], Line]:
    """Collects the lines by trainer and merger.

    Where a method has runs with a list of λ, those with one λ are left out. A method that was run with several other
    settings has a line for each.
    """
    found: dict[tuple[str, str], dict[float, dict[Hashable, float]]] = defaultdict(lambda: defaultdict(dict))
    with_lists = {_method(result) for result in results if result["scalings"]}
    kept = [r for r in results if len(r["training"]) > 1 and bool(r["scalings"]) == (_method(r) in with_lists)]
    for result, settings in zip(kept, differing(kept, _method, ignored=_SCALING), strict=True):
        trainer, merger = _method(result)
        for scaling, value in _values(result).items():
            line = found[trainer, ", ".join((merger, *([typed(settings)] * bool(settings))))]
            line[scaling][result["seed"], repr(RecordedRun.of(result).order)] = value
    return found


def _method(result: Result) -> tuple[str, str]:
    source = describe(result)
    return trainer_label(source), merger_label(source)


def _values(result: Result) -> dict[float, float]:
    if result["scalings"]:
        return {one["scaling"]: headline_at(one, result) for one in result["scalings"]}
    scaling = scaling_of(result)
    return {} if scaling is None else {scaling: result["headline"]["value"]}


def _zero_shot(result: Result) -> float | None:
    """The headline of the pre-trained model; None where the head had no rows yet."""
    kind = headline_kind(result)
    row = result["matrix"][kind][0]
    if result["headline"]["name"].startswith("accuracy."):
        found: float | None = result["accuracy_after_task"][kind][0]
        return found
    return None if None in row else float(statistics.mean(row))
