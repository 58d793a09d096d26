"""Accuracy over λ."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import reduce

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from cl_bench.analyses.source import source_of
from cl_bench.reports.figures import names
from cl_bench.reports.figures.drawing import Drawing, markers, panels
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, look
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.markdown import Result

NEEDS = "a run with merger.scaling as a list of three λ at least, or as many runs with one each"
_FEWEST = 3

Line = Mapping[float, Mapping[int, float]]
"""By λ and seed, the headline of a method."""


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a panel per trainer, a line per merger; means over seeds, with standard deviations."""
    for scenario in records.scenarios:
        results = [result for result in records.results if result["choices"]["scenario"] == scenario]
        lines = {(own, merger): line for (own, merger), line in _lines(results).items() if len(line) >= _FEWEST}
        if not lines:
            continue
        trainers = names.in_order(dict.fromkeys(own for own, _ in lines))
        mergers = names.in_order(dict.fromkeys(merger for _, merger in lines))
        ncols = 2 if len(trainers) == 1 else 4
        figure, axes = panels(len(trainers), 2.6, 2.3 + 0.15 * len(mergers) / ncols, sharey=True)
        handles: dict[str, Artist] = {}
        for axis, own in zip(axes, trainers, strict=True):
            for place, merger in enumerate(mergers):
                if (own, merger) in lines:
                    handles[merger] = _draw(axis, merger, place, lines[own, merger])
            handles["zero-shot (λ = 0)"] = axis.axhline(_zero_shot(results[0]), **REFERENCE)
            axis.set(xlabel="scaling λ", title=own)
            axis.set_xlim(left=0)
        axes[0].set_ylabel("accuracy after the last task (%)")
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=ncols)
        figure.suptitle(scenario)
        counts = sorted({len(values) for line in lines.values() for values in line.values()})
        number = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: test accuracy of the merged model after the last task over the scaling λ of the merged task "
            f"vector, mean and standard deviation over seeds (n = {number}).",
        )


def _draw(axis: Axes, name: str, place: int, line: Line) -> Artist:
    scalings, drawn = sorted(line), look(name, place)
    seeds = [list(line[scaling].values()) for scaling in scalings]
    means = [statistics.mean(values) for values in seeds]
    spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in seeds]
    (artist,) = axis.plot(scalings, means, label=name, markevery=markers(len(scalings)), **drawn)
    low, high = ([mean + sign * one for mean, one in zip(means, spread, strict=True)] for sign in (-1, 1))
    axis.fill_between(scalings, low, high, color=drawn["color"], alpha=0.15, linewidth=0)
    return artist


def _lines(results: list[Result]) -> dict[tuple[str, str], Line]:
    """By trainer and merger; where a method has runs with a list of λ, those with one λ are left out."""
    found: dict[tuple[str, str], dict[float, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    with_lists = {_method(result) for result in results if result["scalings"]}
    for result in results:
        if len(result["training"]) > 1 and bool(result["scalings"]) == (_method(result) in with_lists):
            for scaling, value in _values(result).items():
                found[_method(result)][scaling][result["seed"]] = value
    return found


def _method(result: Result) -> tuple[str, str]:
    source = source_of(result)
    return names.trainer(source), names.merger(source)


def _values(result: Result) -> dict[float, float]:
    headline = result["headline"]
    if result["scalings"]:
        path = headline["name"].split(".")
        return {one["scaling"]: reduce(lambda part, key: part[key], path, one) for one in result["scalings"]}
    scaling = result["config"]["merger"].get("scaling")
    return {} if scaling is None else {scaling: headline["value"]}


def _zero_shot(result: Result) -> float:
    """The headline of the pre-trained model."""
    kind = headline_kind(result)
    if result["headline"]["name"].startswith("accuracy."):
        return result["accuracy_after_task"][kind][0]
    return statistics.mean(result["matrix"][kind][0])
