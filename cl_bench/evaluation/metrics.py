"""The metrics of an accuracy matrix R. Several definitions are in use; each function says which one it computes.

A matrix has T columns, one per task. Its values are percent. Row 0 is the zero-shot model and row i the model after the
i-th training task, so R[i, j] is the accuracy on task j after task i; in the formulas, tasks count from 1. NaN (or
None) stands where nothing was evaluated. Trainers that learn task by task give T+1 rows, joint training gives 2, and
the zero-shot model alone gives 1.

A function returns None where its definition does not apply: the matrix has too few rows or tasks, or an entry that the
formula needs was not evaluated.
"""

from collections.abc import Callable
from typing import NamedTuple

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
    zero-shot model, and without models of before the task's classes arrived. It is negative where the last model is the
    best.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, arXiv 1801.10112.
    """
    learned = _after_tasks(matrix, least=2)
    if learned is None:
        return None
    not_arrived = np.triu(np.logical_and.accumulate(np.isnan(_array(matrix)))[1:], k=1)
    return _mean((np.where(not_arrived, -np.inf, learned)[:-1].max(axis=0) - learned[-1])[:-1])


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


def mtil_transfer(matrix: npt.ArrayLike) -> float | None:
    """The accuracy on tasks before they are learned, without zero-shot: mean over j ≥ 2 of mean_{1≤i<j} R[i, j].

    Source: Zheng et al., "Preventing Zero-Shot Transfer Degradation in Continual Learning of Vision-Language Models"
    (MTIL), ICCV 2023, arXiv 2303.06628.
    """
    learned = _after_tasks(matrix, least=2)
    if learned is None:
        return None
    return _mean(np.array([learned[:task, task].mean() for task in range(1, len(learned))]))


def mtil_average(matrix: npt.ArrayLike) -> float | None:
    """The accuracy on all tasks over all times: mean over i ≥ 1 and j of R[i, j]. Source: as `mtil_transfer`."""
    learned = _after_tasks(matrix, least=1)
    return None if learned is None else _mean(learned)


def mtil_last(matrix: npt.ArrayLike) -> float | None:
    """The accuracy after the last task: mean_j R[T, j]. Source: as `mtil_transfer`."""
    learned = _after_tasks(matrix, least=1)
    return None if learned is None else _mean(learned[-1])


def plasticity(matrix: npt.ArrayLike) -> float | None:
    """How well each task is known when it has just been learned: mean_i R[i, i]."""
    learned = _after_tasks(matrix, least=1)
    return None if learned is None else _mean(learned.diagonal())


def stability(matrix: npt.ArrayLike) -> float | None:
    """How well earlier tasks are known at the end: mean over j < T of R[T, j]."""
    learned = _after_tasks(matrix, least=2)
    return None if learned is None else _mean(learned[-1, :-1])


def normalized_accuracy(matrix: npt.ArrayLike, finetuned: npt.ArrayLike | None) -> float | None:
    """The last model's share of what each task's own weights reach: 100 · mean_j R[last, j] / e[j], in percent.

    e[j] is the accuracy on task j of the weights that were fine-tuned on it, with the same head and among the same
    classes. Where each task starts from the one before, these weights have learned all earlier tasks, too.

    Args:
        matrix: R.
        finetuned: The matrix of each task's weights before merging, of which only the diagonal e is read; None where
            they were not evaluated.
    """
    own = None if finetuned is None else _after_tasks(finetuned, least=1)
    last = _array(matrix)[-1]
    if own is None or own.shape[1] != len(last) or (own.diagonal() == 0).any():
        return None
    return _mean(100 * last / own.diagonal())


class Metric(NamedTuple):
    """A metric, and how tables call it.

    Attributes:
        function: Of the matrix; where `is_relative`, of the matrix and that of the fine-tuned weights.
        title: Heads a column.
        caption: Says in a table's caption what the numbers are, with their unit.
        higher_is_better: Which end is set in bold.
        in_summary: Whether the table that a run prints at its end has it.
        is_relative: Whether it compares with the fine-tuned weights.
    """

    function: Callable[..., float | None]
    title: str
    caption: str
    higher_is_better: bool = True
    in_summary: bool = False
    is_relative: bool = False


_FORGETTING = "How far tasks but the last fell"

METRICS = {
    metric.function.__name__: metric
    for metric in (
        Metric(average_accuracy, "average", "Mean over tasks of the accuracy after the last task, in percent"),
        Metric(
            average_incremental_accuracy,
            "average incremental",
            "Mean over time of the accuracy on the tasks learned so far, in percent",
            in_summary=True,
        ),
        Metric(
            forgetting_max_minus_last,
            "forgetting",
            f"{_FORGETTING} from their best accuracy (max minus last), in points",
            higher_is_better=False,
            in_summary=True,
        ),
        Metric(
            forgetting_first_minus_last,
            "forgetting since learned",
            f"{_FORGETTING} since they were learned (first minus last), in points",
            higher_is_better=False,
        ),
        Metric(
            backward_transfer,
            "backward transfer",
            "How later tasks changed the accuracy on earlier ones (backward transfer), in points",
            in_summary=True,
        ),
        Metric(
            forward_transfer_against_zero_shot,
            "forward transfer",
            "How earlier tasks changed the accuracy on the next one, against zero-shot (forward transfer), in points",
        ),
        Metric(mtil_transfer, "Transfer", "Accuracy on tasks before they are learned (MTIL's Transfer), in percent"),
        Metric(mtil_average, "Avg", "Accuracy on all tasks over all times (MTIL's Avg), in percent"),
        Metric(mtil_last, "Last", "Mean over tasks of the accuracy after the last one (MTIL's Last), in percent"),
        Metric(plasticity, "plasticity", "Accuracy on each task when it has just been learned, in percent"),
        Metric(stability, "stability", "Accuracy on all tasks but the last after the last one, in percent"),
        Metric(
            normalized_accuracy,
            "normalized",
            "Accuracy after the last task as a share of that of each task's own fine-tuned weights, in percent",
            is_relative=True,
        ),
    )
}
"""Every metric by its name: records, tables and pages find it here."""


def summarize(matrix: npt.ArrayLike, finetuned: npt.ArrayLike | None = None) -> dict[str, float | None]:
    """Computes all metrics, by name.

    Args:
        matrix: R.
        finetuned: The matrix of each task's weights before merging, if it is known.
    """
    return {
        name: metric.function(matrix, finetuned) if metric.is_relative else metric.function(matrix)
        for name, metric in METRICS.items()
    }


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
