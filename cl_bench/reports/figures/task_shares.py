"""How much of the merged vector each task has."""

from collections.abc import Iterator

from cl_bench.reports.figures.drawing import Drawing, columns, marker_every, number_tasks, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, looks
from cl_bench.reports.names import in_order, trainer_label

NEEDS = "the analysis task_shares"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a line per trainer over the tasks."""
    for scenario, analyses in records.analyses_of("task_shares").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        tasks = max(len(analysis["task"]) for analysis in analyses)
        figure, ((axis,),) = columns(1, 1, 3.4, 2.4)
        for name, line in looks(in_order(by_name)).items():
            analysis = by_name[name]
            axis.plot(analysis["task"], analysis["share"], label=name, markevery=marker_every(tasks), **line)
        axis.axhline(100 / tasks, label="equal shares", **REFERENCE)
        axis.set(xlabel="task, in order of arrival", ylabel="share of the merged vector (%)")
        axis.set_ylim(bottom=0)
        number_tasks(axis, 1, tasks)
        axis.legend()
        set_title(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: the share of weights that MagMax takes from each task, by how tasks were trained.",
        )
