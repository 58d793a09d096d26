"""The metrics of an accuracy matrix R. Several definitions are in use; each function says which one it computes.

A matrix has T columns, one per task. Its values are percent. Row 0 is the zero-shot model and row i the model after the
i-th training task, so R[i, j] is the accuracy on task j after task i; in the formulas, tasks count from 1. NaN (or
None) stands where nothing was evaluated. Trainers that learn task by task give T+1 rows, joint training gives 2, and
the zero-shot model alone gives 1.

A function returns None where its definition does not apply: the matrix has too few rows or tasks, or an entry that the
formula needs was not evaluated.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt


def average_accuracy(matrix: npt.ArrayLike) -> float | None:
    """The accuracy of the last model, averaged over tasks: (1/T) Σ_j R[last, j]. Any number of rows will do."""
    return _mean(_array(matrix)[-1])


def average_incremental_accuracy(matrix: npt.ArrayLike) -> float | None:
    """The average over time of the accuracy on the tasks learned so far: (1/T) Σ_i (1/i) Σ_{j≤i} R[i, j].

    Source: Rebuffi et al., "iCaRL", CVPR 2017, arXiv 1611.07725, with equal weights of all tasks.
    """
    learned = _after_tasks(matrix, least=1)
    if learned is None:
        return None
    return _mean(np.array([learned[i, : i + 1].mean() for i in range(len(learned))]))


def forgetting_max_minus_last(matrix: npt.ArrayLike) -> float | None:
    """How far each task but the last fell from its best: 1/(T-1) Σ_{j<T} (max_{1≤i<T} R[i, j] - R[T, j]).

    The best is over all models before the last, including those that had not learned the task yet, but without the
    zero-shot model. It is negative where the last model is the best.

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
    """How later tasks changed the accuracy on earlier ones: 1/(T-1) Σ_{j<T} (R[T, j] - R[j, j]).

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017, arXiv 1706.08840.
    """
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean((learned[-1] - learned.diagonal())[:-1])


def forward_transfer_against_zero_shot(matrix: npt.ArrayLike) -> float | None:
    """How earlier tasks changed the accuracy on later ones, against zero-shot: 1/(T-1) Σ_{j≥2} (R[j-1, j] - R[0, j]).

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
    """All metrics, by the names of their functions."""
    return {metric.__name__: metric(matrix) for metric in METRICS}


def _array(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"an accuracy matrix has rows and tasks, this one has shape {array.shape}")
    return array


def _after_tasks(matrix: npt.ArrayLike, least: int) -> npt.NDArray[np.float64] | None:
    """The (T, T) matrix without its zero-shot row; None where there are not T+1 rows, or T is too small."""
    array = _array(matrix)
    rows, tasks = array.shape
    return array[1:] if rows == tasks + 1 and tasks >= least else None


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    mean = float(values.mean())
    return None if np.isnan(mean) else mean
