"""What is computed from an accuracy matrix R; see each function for which of the definitions in use it is.

A matrix has T columns, one per task, and its values are percent: row 0 is the zero-shot model, row i the
model after the i-th training task, so R[i, j] is the accuracy on task j after task i. NaN (or None) stands
where nothing was evaluated. Trainers that learn task by task leave T+1 rows; joint training leaves 2 and the
zero-shot model alone 1. Tasks count from 1 in the formulas, as rows do.

Every function gives None where its definition does not apply: for want of rows or of tasks, or because
an entry that it needs was not evaluated.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt


def average_accuracy(matrix: npt.ArrayLike) -> float | None:
    """Accuracy of the last model, averaged over tasks: (1/T) Σ_j R[last, j]; for any number of rows."""
    return _mean(_array(matrix)[-1])


def average_incremental_accuracy(matrix: npt.ArrayLike) -> float | None:
    """Average over time of the accuracy on the tasks seen so far: (1/T) Σ_i (1/i) Σ_{j≤i} R[i, j].

    Source: Rebuffi et al., "iCaRL", CVPR 2017, arXiv 1611.07725, with tasks weighted equally.
    """
    learned = _after_tasks(matrix, least=1)
    if learned is None:
        return None
    return _mean(np.array([learned[i, : i + 1].mean() for i in range(len(learned))]))


def forgetting_max_minus_last(matrix: npt.ArrayLike) -> float | None:
    """How far each task but the last fell from its best: 1/(T-1) Σ_{j<T} (max_{1≤i<T} R[i, j] - R[T, j]).

    The best is over all models before the last, also those that had not learned the task yet, but not
    over the zero-shot model. Negative where the last model is the best.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, arXiv 1801.10112.
    """
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean((learned[:-1].max(axis=0) - learned[-1])[:-1])


def forgetting_first_minus_last(matrix: npt.ArrayLike) -> float | None:
    """How far each task but the last fell since it was learned: 1/(T-1) Σ_{j<T} (R[j, j] - R[T, j]).

    The negative of backward transfer.
    """
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean((learned.diagonal() - learned[-1])[:-1])


def backward_transfer(matrix: npt.ArrayLike) -> float | None:
    """What later tasks did to earlier ones: 1/(T-1) Σ_{j<T} (R[T, j] - R[j, j]).

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017, arXiv 1706.08840.
    """
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean((learned[-1] - learned.diagonal())[:-1])


def forward_transfer_against_zero_shot(matrix: npt.ArrayLike) -> float | None:
    """What earlier tasks did to later ones, against zero-shot: 1/(T-1) Σ_{j≥2} (R[j-1, j] - R[0, j]).

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017, arXiv 1706.08840.

    Differs from the publication in: the reference is the zero-shot model instead of one with random weights.
    """
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean(learned.diagonal(offset=1) - _array(matrix)[0, 1:])


METRICS: tuple[Callable[[npt.ArrayLike], float | None], ...] = (
    average_accuracy,
    average_incremental_accuracy,
    forgetting_max_minus_last,
    forgetting_first_minus_last,
    backward_transfer,
    forward_transfer_against_zero_shot,
)


def summarize(matrix: npt.ArrayLike) -> dict[str, float | None]:
    """Every metric under its function's name."""
    return {metric.__name__: metric(matrix) for metric in METRICS}


def _array(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"an accuracy matrix has rows and tasks, this one has shape {array.shape}")
    return array


def _after_tasks(matrix: npt.ArrayLike, least: int) -> npt.NDArray[np.float64] | None:
    """The (T, T) matrix without its zero-shot row; None if it is not that, or T is too small."""
    array = _array(matrix)
    rows, tasks = array.shape
    return array[1:] if rows == tasks + 1 and tasks >= least else None


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    mean = float(values.mean())
    return None if np.isnan(mean) else mean
