"""Cosines between task vectors."""

from collections.abc import Iterator

import numpy as np

from cl_bench.reports.figures.drawing import Drawing, inches_for, panels, set_title
from cl_bench.reports.figures.grid import draw_grid
from cl_bench.reports.figures.records import Records
from cl_bench.reports.names import in_order, trainer_label
from cl_bench.reports.task_names import task_names

NEEDS = "the analysis cosine_similarity"


def drawings(records: Records) -> Iterator[Drawing]:
    """One figure per scenario: a matrix per trainer."""
    for scenario, analyses in records.analyses_of("cosine_similarity").items():
        by_name = {trainer_label(analysis["source"]): analysis for analysis in analyses}
        matrices = {name: np.array(by_name[name]["cosine"], dtype=float) for name in in_order(by_name)}
        lowest = min(0.0, *(float(np.nanmin(matrix)) for matrix in matrices.values()))
        tasks = {n: task_names(by_name[n]["source"]["scenario"], by_name[n]["source"]["tasks"]) for n in matrices}
        more = max(map(inches_for, tasks.values()))
        figure, axes = panels(len(matrices), 2.1 + more, 2.1 + more)
        for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
            image = draw_grid(axis, matrix, (lowest, 1.0), digits=2, rows_from=1, names=tasks[name])
            axis.set(title=name, xlabel="task")
        axes[0].set_ylabel("task")
        figure.colorbar(image, ax=axes, label="cosine similarity", shrink=0.85)
        set_title(figure, scenario)
        yield Drawing(
            scenario, figure, f"{scenario}: cosine similarity of all pairs of task vectors, by how tasks were trained."
        )
