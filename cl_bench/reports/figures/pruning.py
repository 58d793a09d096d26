"""Accuracy with only the largest elements of a task vector, and without them."""

from collections.abc import Iterator

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, columns, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import looks
from cl_bench.reports.names import in_order, trainer_label

NEEDS = "the analysis pruning"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: what is kept, what is removed; a line per trainer, the mean over its tasks."""
    for scenario, analyses in records.analyses_of("pruning").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        figure, ((kept, removed),) = columns(2, 1, 2.9, 2.3, sharey=True)
        for name, line in looks(in_order(by_name)).items():
            analysis = by_name[name]
            for axis, way in ((kept, "kept"), (removed, "removed")):
                axis.plot(analysis["share"], np.mean(np.array(analysis[way], dtype=float), axis=0), label=name, **line)
        kept.set(xlabel="largest elements kept (%)", ylabel="accuracy on the vector's task (%)", title="kept")
        removed.set(xlabel="largest elements removed (%)", title="removed")
        kept.legend()
        set_title(figure, scenario)
        tasks = max(len(analysis["task"]) for analysis in analyses)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: test accuracy on a task, among its classes, of the pre-trained model plus the task's vector "
            f"with only its largest elements kept (left) or those removed (right), mean over {tasks} tasks.",
        )
