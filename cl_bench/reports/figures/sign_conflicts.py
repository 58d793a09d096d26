"""How often task vectors disagree on signs, against trimming and against the number of tasks."""

from collections.abc import Iterator

from cl_bench.reports.figures import names
from cl_bench.reports.figures.drawing import Drawing, call, columns, markers, over_tasks
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import look

NEEDS = "the analysis sign_conflicts: python -m cl_bench.analyses"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: two panels, a line per trainer."""
    for scenario, analyses in records.analyses_of("sign_conflicts").items():
        by_name = {names.trainer(analysis["source"]): analysis for analysis in analyses}
        tasks = max(analysis["tasks"][-1] for analysis in analyses)
        figure, ((trimming, count),) = columns(2, 1, 2.9, 2.3, sharey=True)
        for place, name in enumerate(names.in_order(by_name)):
            analysis, lines = by_name[name], look(name, place)
            trimming.plot(analysis["trimmed"], analysis["conflicts_by_trimming"], label=name, **lines)
            count.plot(analysis["tasks"], analysis["conflicts_by_tasks"], label=name, markevery=markers(tasks), **lines)
        trimming.set(xlabel="trimmed of each task vector (%)", ylabel="sign conflicts (%)", title=f"{tasks} tasks")
        count.set(xlabel="number of tasks", title="80 % trimmed")
        over_tasks(count, 2, tasks)
        trimming.set_ylim(bottom=0)
        trimming.legend()
        call(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: of the weights that at least two task vectors keep after trimming, the share kept with both "
            "signs, against the share trimmed (left) and the number of tasks with 80 % trimmed (right).",
        )
