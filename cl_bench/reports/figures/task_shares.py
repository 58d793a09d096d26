"""How much of the merged vector each task has."""

from collections.abc import Iterator

from cl_bench.reports.figures import names
from cl_bench.reports.figures.drawing import Drawing, call, columns, markers, over_tasks
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, look

NEEDS = "the analysis task_shares: python -m cl_bench.analyses"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a line per trainer over the tasks."""
    for scenario, analyses in records.analyses_of("task_shares").items():
        by_name = {names.trainer(analysis["source"]): analysis for analysis in analyses}
        tasks = max(len(analysis["task"]) for analysis in analyses)
        figure, ((axis,),) = columns(1, 1, 3.4, 2.4)
        for place, name in enumerate(names.in_order(by_name)):
            analysis, line = by_name[name], look(name, place)
            axis.plot(analysis["task"], analysis["share"], label=name, markevery=markers(tasks), **line)
        axis.axhline(100 / tasks, label="equal shares", **REFERENCE)
        axis.set(xlabel="task, in order of arrival", ylabel="share of the merged vector (%)")
        axis.set_ylim(bottom=0)
        over_tasks(axis, 1, tasks)
        axis.legend()
        call(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: the share of weights that MagMax takes from each task, by how tasks were trained.",
        )
