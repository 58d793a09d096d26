"""Heat maps: the accuracy on each task after each training task; learned tasks and zero-shot ones told apart."""

from collections.abc import Iterator, Sequence

import numpy as np

from cl_bench.analyses.source import source_of
from cl_bench.reports.figures import names
from cl_bench.reports.figures.drawing import Drawing, beside, call, panels
from cl_bench.reports.figures.records import Records
from cl_bench.reports.grid import draw_grid, outline_learned
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.markdown import Result
from cl_bench.reports.scaling import is_unchosen
from cl_bench.reports.scenarios import scenario_of
from cl_bench.reports.settings import differing, typed
from cl_bench.reports.task_names import task_names

NEEDS = "a run of several tasks with evaluation=every_task"
_MOST_PANELS = 6
_PREFERRED = ("sequential", "sequential + MagMax", "independent + MagMax", "EWC", "LwF", "CMM")


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a panel for up to six methods, each with the run of its smallest seed.

    A method that was run with several settings has a panel for each; runs of which nobody chose the λ have none.
    """
    for scenario in records.scenarios:
        own = [result for result in records.results if scenario_of(result) == scenario]
        first = _first_of_each([result for result in own if _is_complete(result) and not is_unchosen(result)])
        preferred = [name for name in _PREFERRED if name in first]
        others = [name for name in names.in_order(first) if name not in preferred]
        shown = names.in_order([*preferred, *others][:_MOST_PANELS])
        if not shown:
            continue
        kind = headline_kind(first[shown[0]])
        called = {n: task_names(first[n]["scenario"], [task["name"] for task in first[n]["tasks"]]) for n in shown}
        more = max(map(beside, called.values()))
        figure, axes = panels(len(shown), 2.1 + more, 2.1 + more)
        for axis, name in zip(axes, shown, strict=True):
            matrix = np.array(first[name]["matrix"][kind], dtype=float)
            limits, tasks = (0.0, 100.0), called[name]
            image = draw_grid(axis, matrix, limits, digits=0, rows_from=0, first_row="zero-shot", names=tasks)
            outline_learned(axis, range(len(matrix)))
            axis.set(title=name, xlabel="evaluated on task")
        axes[0].set_ylabel("after training task")
        figure.colorbar(image, ax=axes, label="accuracy (%)", shrink=0.85)
        call(figure, scenario)
        among = "the task's classes" if kind == "task_aware" else "all classes"
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: test accuracy among {among} on each task (column) after each training task (row); below the "
            "stepped line are tasks that were learned, above it those answered zero-shot.",
        )


def _first_of_each(results: Sequence[Result]) -> dict[str, Result]:
    """The run of the smallest seed, by method and, where they differ, its settings."""
    first: dict[str, Result] = {}
    in_order = sorted(results, key=lambda result: result["seed"])
    for result, settings in zip(in_order, differing(in_order, _method), strict=True):
        first.setdefault("\n".join((_method(result), *([typed(settings)] * bool(settings)))), result)
    return first


def _method(result: Result) -> str:
    return names.method(source_of(result))


def _is_complete(result: Result) -> bool:
    matrix = np.array(result["matrix"][headline_kind(result)], dtype=float)
    return matrix.shape[0] == matrix.shape[1] + 1 > 2 and bool(np.isfinite(matrix).all())
