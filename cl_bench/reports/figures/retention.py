"""Accuracy over time on data sets that are never trained on, beside zero-shot."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, columns, number_tasks, set_title
from cl_bench.reports.figures.records import Records, first_of_each
from cl_bench.reports.figures.style import REFERENCE, looks
from cl_bench.reports.names import in_order
from cl_bench.reports.records import Result
from cl_bench.reports.scaling import is_unchosen
from cl_bench.reports.scenario_names import scenario_name

NEEDS = "a run of several tasks with evaluation=every_task and evaluation.retention"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario and set of data sets: a line per method, from the run of its smallest seed."""
    for scenario in records.scenarios:
        found = [r for r in records.results if scenario_name(r) == scenario and _is_complete(r) and not is_unchosen(r)]
        for datasets in list(dict.fromkeys(tuple(result["retention"]["datasets"]) for result in found))[:1]:
            alike = [result for result in found if tuple(result["retention"]["datasets"]) == datasets]
            yield _drawing(scenario, ", ".join(datasets), first_of_each(alike, ", "))


def _drawing(scenario: str, datasets: str, first: Mapping[str, Result]) -> Drawing:
    figure, ((axis,),) = columns(1, 1, 3.6, 2.6)
    tasks = 1
    for name, look in looks(in_order(first)).items():
        means = _means(first[name])
        tasks = max(tasks, len(means) - 1)
        axis.plot(range(1, len(means)), means[1:], label=name, **look)
    # One for each encoder, named by its first method.
    zero_shot = {float(_means(result)[0]): name for name, result in reversed(list(first.items()))}
    for value, name in zero_shot.items():
        axis.axhline(value, label="zero-shot" + f" ({name})" * (len(zero_shot) > 1), **REFERENCE)
    axis.set(xlabel="after training task", ylabel="accuracy (%)")
    number_tasks(axis, 1, tasks)
    axis.legend()
    set_title(figure, f"{scenario}: {datasets}")
    return Drawing(
        scenario,
        figure,
        f"{scenario}: mean accuracy of the merged model on the test images of {datasets}, which are never trained on, "
        "after each training task; one run of each method.",
    )


def _means(result: Result) -> Any:
    return np.array(result["retention"]["matrix"], dtype=float).mean(axis=1)


def _is_complete(result: Result) -> bool:
    return bool(result.get("retention")) and len(_means(result)) > 2 and bool(np.isfinite(_means(result)).all())
