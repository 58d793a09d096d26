"""Heat maps: the accuracy on each task after each training task, learned tasks apart from zero-shot ones."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, inches_for, panels, set_title
from cl_bench.reports.figures.grid import draw_grid, outline_learned
from cl_bench.reports.figures.records import Records, first_of_each
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.names import PREFERRED, in_order, is_listed
from cl_bench.reports.records import Result
from cl_bench.reports.scaling import is_unchosen
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.task_names import task_names

NEEDS = "a run of several tasks with evaluation=every_task"
_LETTERS = 28  # in a line above a panel
_MOST_PANELS = 6
_MOST_NEW = 3  # more, of methods that have no place in the papers' order


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a panel for up to six methods, each with the run of its smallest seed.

    Methods whose trainer or merger has no place in the papers' order have up to three more panels. A method that was
    run with several settings has a panel for each; runs whose λ nobody chose have none.
    """
    for scenario in records.scenarios:
        results = [result for result in records.results if scenario_name(result) == scenario]
        first = first_of_each([r for r in results if _is_complete(r) and not is_unchosen(r)], "\n")
        methods = _selected(first)
        if not methods:
            continue
        kind = headline_kind(first[methods[0]])
        tasks = {n: task_names(first[n]["scenario"], [task["name"] for task in first[n]["tasks"]]) for n in methods}
        more = max(map(inches_for, tasks.values()))
        figure, axes = panels(len(methods), 2.1 + more, 2.1 + more)
        for axis, name in zip(axes, methods, strict=True):
            matrix = np.array(first[name]["matrix"][kind], dtype=float)
            layout: dict[str, Any] = {"rows_from": 0, "first_row": "zero-shot", "names": tasks[name]}
            image = draw_grid(axis, matrix, (0.0, 100.0), digits=0, **layout)
            outline_learned(axis, range(len(matrix)))
            axis.set(title=_wrapped(name), xlabel="evaluated on task")
        axes[0].set_ylabel("after training task")
        figure.colorbar(image, ax=axes, label="accuracy (%)", shrink=0.85)
        set_title(figure, scenario)
        among = "the task's classes" if kind == "task_aware" else "all classes"
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: test accuracy among {among} on each task (column) after each training task (row); below the "
            "stepped line are tasks that were learned, above it those answered zero-shot.",
        )


def _selected(first: Mapping[str, Result]) -> list[str]:
    """Chooses methods for the panels: the preferred ones, then others up to the limit, then new ones."""
    ordered = in_order(first)
    known = [name for name in ordered if is_listed(first[name]["choices"])]
    new = [name for name in ordered if name not in known]
    preferred = [name for name in PREFERRED if name in first]
    chosen = [*preferred, *(name for name in [*known, *new] if name not in preferred)][:_MOST_PANELS]
    return in_order([*chosen, *[name for name in new if name not in chosen][:_MOST_NEW]])


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.fill(line, _LETTERS, break_long_words=False) for line in name.split("\n"))


def _is_complete(result: Result) -> bool:
    matrix = np.array(result["matrix"][headline_kind(result)], dtype=float)
    learned = np.tril(np.ones(matrix.shape, dtype=bool), -1)  # without rows of the head, others have no accuracy
    return matrix.shape[0] == matrix.shape[1] + 1 > 2 and bool(np.isfinite(matrix[learned]).all())
