"""From counts to everything that a result says of one sequence of models."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from cl_bench.evaluation.metrics import summarize
from cl_bench.evaluation.task_accuracy import Counts, Kind

KINDS: tuple[Kind, ...] = ("task_agnostic", "task_aware")


def accuracies(rows: Sequence[Counts | None], tasks: int, kinds: Collection[Kind] = KINDS) -> dict[str, Any]:
    """Accuracy, matrices and metrics, in percent, for both kinds: `task_agnostic` and `task_aware`.

    Args:
        rows: Counts per evaluated model: zero-shot, then after each training task; None where not evaluated.
        tasks: T, the number of tasks that each model is evaluated on.
        kinds: Those that mean something here; the others are None throughout.

    Returns:
        Plain data. `accuracy`: of the last model, over all images together (an image counts the same, whatever its
        task). `accuracy_after_task`: the same for every row. `matrix`: `R[i][j]`, accuracy on task j
        after i training tasks. `metrics`: what follows from the matrix.
    """
    matrices = {
        kind: np.stack([np.full(tasks, np.nan) if row is None else row.matrix_row(kind).numpy() for row in rows])
        for kind in kinds
    }
    pooled = {kind: [None if row is None else row.pooled(kind) for row in rows] for kind in kinds}
    nothing = dict.fromkeys(KINDS)
    return {
        "accuracy": nothing | {kind: values[-1] for kind, values in pooled.items()},
        "accuracy_after_task": nothing | pooled,
        "metrics": nothing | {kind: summarize(matrix) for kind, matrix in matrices.items()},
        "matrix": nothing | {kind: matrix.tolist() for kind, matrix in matrices.items()},
    }
