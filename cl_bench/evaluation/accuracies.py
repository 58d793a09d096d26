"""From counts to the accuracies, matrices and metrics of one sequence of models."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cl_bench.evaluation.counting import Counts, Kind
from cl_bench.evaluation.metrics import summarize

KINDS: tuple[Kind, ...] = ("task_agnostic", "task_aware")


def accuracies(
    rows: Sequence[Counts | None],
    tasks: int,
    kinds: Collection[Kind] = KINDS,
    finetuned: Sequence[Counts | None] = (),
    comparable: Collection[Kind] = KINDS,
) -> dict[str, Any]:
    """Computes accuracies, matrices and metrics in percent, for both kinds: `task_agnostic` and `task_aware`.

    Args:
        rows: The counts of each model: the zero-shot model, then the model after each task; None where a model was not
            evaluated.
        tasks: T, the number of tasks that each model is evaluated on.
        kinds: The kinds that mean something here; all values of the others are None.
        finetuned: The same rows of each task's weights before merging, for metrics that compare with them.
        comparable: The kinds whose `finetuned` are counted among the same classes as the last model.

    Returns:
        Plain data. `accuracy`: of the last model, over all images together, each with the same weight.
        `accuracy_after_task`: the same for every row. `matrix`: `R[i][j]`, the accuracy on task j after i training
        tasks. `metrics`: the metrics of the matrix, see `metrics`.
    """
    matrices = {kind: _matrix(rows, tasks, kind) for kind in kinds}
    own = {kind: _matrix(finetuned, tasks, kind) if finetuned and kind in comparable else None for kind in kinds}
    pooled = {kind: [None if row is None else row.pooled(kind) for row in rows] for kind in kinds}
    nothing = dict.fromkeys(KINDS)
    return {
        "accuracy": nothing | {kind: values[-1] for kind, values in pooled.items()},
        "accuracy_after_task": nothing | pooled,
        "metrics": nothing | {kind: summarize(matrix, own[kind]) for kind, matrix in matrices.items()},
        "matrix": nothing | {kind: matrix.tolist() for kind, matrix in matrices.items()},
    }


def _matrix(rows: Sequence[Counts | None], tasks: int, kind: Kind) -> npt.NDArray[np.float64]:
    return np.stack([np.full(tasks, np.nan) if row is None else row.matrix_row(kind).numpy() for row in rows])
