"""How often task vectors disagree on signs, against trimming and against the number of tasks."""

from collections.abc import Iterator

from cl_bench.reports.figures.drawing import Drawing, columns, marker_every, number_tasks, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import looks
from cl_bench.reports.names import in_order, trainer_label

NEEDS = "the analysis sign_conflicts"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: two panels, a line per trainer."""
    for scenario, analyses in records.analyses_of("sign_conflicts").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        tasks = max(analysis["tasks"][-1] for analysis in analyses)
        figure, ((trimming, count),) = columns(2, 1, 2.9, 2.3, sharey=True)
        every = marker_every(tasks)
        for name, line in looks(in_order(by_name)).items():
            analysis = by_name[name]
            trimming.plot(analysis["trimmed"], analysis["conflicts_by_trimming"], label=name, **line)
            count.plot(analysis["tasks"], analysis["conflicts_by_tasks"], label=name, markevery=every, **line)
        trimming.set(xlabel="trimmed of each task vector (%)", ylabel="sign conflicts (%)", title=f"{tasks} tasks")
        count.set(xlabel="number of tasks", title="80 % trimmed")
        number_tasks(count, 2, tasks)
        trimming.set_ylim(bottom=0)
        trimming.legend()
        set_title(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: of the weights that at least two task vectors keep after trimming, the share kept with both "
            "signs, against the share trimmed (left) and the number of tasks with 80 % trimmed (right).",
        )
