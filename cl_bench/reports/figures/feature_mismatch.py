"""How far CMM's features move with a task: by learning, by merging, by refining."""

from collections.abc import Iterator

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, columns, marker_every, number_tasks, set_title
from cl_bench.reports.figures.records import Records
from cl_bench.reports.figures.style import REFERENCE, look
from cl_bench.reports.names import in_order, trainer_label

NEEDS = "the analysis feature_mismatch"
_MODELS = {"own": "the task's own", "merged": "merged", "refined": "merged and refined"}


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a column per variant of CMM; the mismatch above, and below it what refining changes."""
    for scenario, analyses in records.analyses_of("feature_mismatch").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        figure, (above, below) = columns(len(by_name), 2, 2.1, 1.7, sharex="col")
        for mismatch, change, name in zip(above, below, in_order(by_name), strict=True):
            analysis = by_name[name]
            every = marker_every(len(analysis["task"]))
            for number, (model, label) in enumerate(_MODELS.items()):
                mismatch.plot(analysis["task"], analysis[model], label=label, markevery=every, **look(number))
            merged, refined = (np.array(analysis[model], dtype=float) for model in ("merged", "refined"))
            change.plot(analysis["task"], 100 * (refined / merged - 1), markevery=every, **look(2))
            change.axhline(0, **REFERENCE)
            mismatch.set(title=name)
            mismatch.set_ylim(bottom=0)
            change.set(xlabel="task")
            number_tasks(change, 2, analysis["task"][-1])
        above[0].set_ylabel("mean squared\ndifference of features")
        below[0].set_ylabel("change by\nrefinement (%)")
        ncols = 3 if len(by_name) > 1 else 1
        figure.legend(*above[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols)
        set_title(figure, scenario)
        yield Drawing(
            scenario,
            figure,
            f"{scenario}: mean squared difference of features, on the test images of the task that was learned, to "
            "those of the merged model before that task, for the task's own weights, the merged and the refined model "
            "(above), and how much the refinement changes it (below).",
        )
