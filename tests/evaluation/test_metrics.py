import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.evaluation import metrics

Rows = list[list[float]]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# R[i][j], tasks from 1: the columns of these oracles are shifted by one.
ORACLES = {
    "average_accuracy": lambda r, t: mean([r[t][j - 1] for j in range(1, t + 1)]),
    "average_incremental_accuracy": lambda r, t: mean(
        [mean([r[i][j - 1] for j in range(1, i + 1)]) for i in range(1, t + 1)]
    ),
    "forgetting_max_minus_last": lambda r, t: mean(
        [max(r[i][j - 1] for i in range(1, t)) - r[t][j - 1] for j in range(1, t)]
    ),
    "forgetting_first_minus_last": lambda r, t: mean([r[j][j - 1] - r[t][j - 1] for j in range(1, t)]),
    "backward_transfer": lambda r, t: mean([r[t][j - 1] - r[j][j - 1] for j in range(1, t)]),
    "forward_transfer_against_zero_shot": lambda r, t: mean([r[j - 1][j - 1] - r[0][j - 1] for j in range(2, t + 1)]),
    "mtil_transfer": lambda r, t: mean([mean([r[i][j - 1] for i in range(1, j)]) for j in range(2, t + 1)]),
    "mtil_average": lambda r, t: mean([r[i][j - 1] for i in range(1, t + 1) for j in range(1, t + 1)]),
    "mtil_last": lambda r, t: mean([r[t][j - 1] for j in range(1, t + 1)]),
    "plasticity": lambda r, t: mean([r[i][i - 1] for i in range(1, t + 1)]),
    "stability": lambda r, t: mean([r[t][j - 1] for j in range(1, t)]),
}
NEED_ONE_TASK = {"average_accuracy", "average_incremental_accuracy", "mtil_average", "mtil_last", "plasticity"}
NEED_TWO_TASKS = set(ORACLES) - NEED_ONE_TASK


@st.composite
def matrices(draw: st.DrawFn, least: int = 1) -> Rows:
    tasks = draw(st.integers(least, 6))
    row = st.lists(st.floats(0, 100), min_size=tasks, max_size=tasks)
    return draw(st.lists(row, min_size=tasks + 1, max_size=tasks + 1))


@given(matrices())
def test_agrees_with_loops(matrix: Rows) -> None:
    tasks = len(matrix[0])
    summary = metrics.summarize(matrix)
    assert set(summary) == {*ORACLES, "normalized_accuracy"}
    assert summary["normalized_accuracy"] is None  # without fine-tuned weights
    for name, oracle in ORACLES.items():
        if tasks == 1 and name in NEED_TWO_TASKS:
            assert summary[name] is None
        else:
            assert summary[name] == pytest.approx(oracle(matrix, tasks), abs=1e-9)


def test_worked_example() -> None:
    matrix = [[10, 20, 30], [90, 25, 35], [60, 80, 45], [50, 85, 70]]
    assert metrics.summarize(matrix) == pytest.approx(
        {
            "average_accuracy": (50 + 85 + 70) / 3,
            "average_incremental_accuracy": (90 + 70 + (50 + 85 + 70) / 3) / 3,
            "forgetting_max_minus_last": ((90 - 50) + (80 - 85)) / 2,
            "forgetting_first_minus_last": ((90 - 50) + (80 - 85)) / 2,
            "backward_transfer": ((50 - 90) + (85 - 80)) / 2,
            "forward_transfer_against_zero_shot": ((25 - 20) + (45 - 30)) / 2,
            "mtil_transfer": (25 + (35 + 45) / 2) / 2,
            "mtil_average": (90 + 25 + 35 + 60 + 80 + 45 + 50 + 85 + 70) / 9,
            "mtil_last": (50 + 85 + 70) / 3,
            "plasticity": (90 + 80 + 70) / 3,
            "stability": (50 + 85) / 2,
            "normalized_accuracy": None,
        }
    )


def test_normalized_accuracy() -> None:
    own = [[None, None], [80, None], [None, 50]]
    assert metrics.normalized_accuracy([[10, 20], [60, 20], [40, 45]], own) == pytest.approx(100 * (0.5 + 0.9) / 2)
    assert metrics.normalized_accuracy([[10, 20], [72, 55]], own) == pytest.approx(100 * (0.9 + 1.1) / 2)  # joint


@given(matrices(), st.data())
def test_normalized_accuracy_agrees_with_a_loop(matrix: Rows, data: st.DataObject) -> None:
    tasks = len(matrix[0])
    own = data.draw(st.lists(st.floats(1, 100), min_size=tasks, max_size=tasks))
    finetuned = [[own[j] if i == j + 1 else math.nan for j in range(tasks)] for i in range(tasks + 1)]
    expected = mean([100 * last / e for last, e in zip(matrix[-1], own, strict=True)])
    assert metrics.summarize(matrix, finetuned)["normalized_accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "own",
    [[[1, 2], [0, 5], [5, 5]], [[1, 2], [None, 5], [5, 5]], [[1, 2], [5, 5]], [[1], [5]]],
    ids=["an expert knows nothing", "one was not evaluated", "joint training", "other tasks"],
)
def test_no_normalized_accuracy(own: Rows) -> None:
    assert metrics.normalized_accuracy([[10, 20], [60, 20], [40, 45]], own) is None


def test_the_two_forgettings_differ() -> None:
    matrix = [[0, 0, 0], [50, 95, 0], [80, 70, 0], [40, 60, 10]]
    assert metrics.forgetting_max_minus_last(matrix) == ((80 - 40) + (95 - 60)) / 2
    assert metrics.forgetting_first_minus_last(matrix) == ((50 - 40) + (70 - 60)) / 2


def test_a_class_that_has_not_arrived_is_no_best() -> None:
    nan = math.nan
    matrix = [[nan, nan, nan], [50, nan, nan], [80, 70, nan], [40, 60, 10]]
    assert metrics.forgetting_max_minus_last(matrix) == ((80 - 40) + (70 - 60)) / 2
    assert metrics.forgetting_max_minus_last([[nan] * 3, [50, nan, nan], [nan, 70, nan], [40, 60, 10]]) is None


@given(matrices(least=2))
def test_first_minus_last_is_negative_backward_transfer(matrix: Rows) -> None:
    forgetting = metrics.forgetting_first_minus_last(matrix)
    transfer = metrics.backward_transfer(matrix)
    assert forgetting is not None and transfer is not None
    assert forgetting == pytest.approx(-transfer)


@given(matrices(least=2), st.data())
def test_an_entry_that_was_not_evaluated_undefines_what_needs_it(matrix: Rows, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(matrix) - 1))
    j = data.draw(st.integers(0, len(matrix[0]) - 1))
    tasks = len(matrix[0])
    before = metrics.summarize(matrix)
    matrix[i][j] = math.nan
    after = metrics.summarize(matrix)
    row, task = i, j + 1
    needed = {
        "average_accuracy": row == tasks,
        "average_incremental_accuracy": row >= task,
        "forgetting_max_minus_last": row >= 1 and task < tasks,
        "forgetting_first_minus_last": task < tasks and row in (task, tasks),
        "backward_transfer": task < tasks and row in (task, tasks),
        "forward_transfer_against_zero_shot": task >= 2 and row in (0, task - 1),
        "mtil_transfer": 1 <= row < task,
        "mtil_average": row >= 1,
        "mtil_last": row == tasks,
        "plasticity": row == task,
        "stability": row == tasks and task < tasks,
        "normalized_accuracy": False,
    }
    assert after == {name: None if needed[name] else value for name, value in before.items()}


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_other_numbers_of_rows_leave_the_average_accuracy_alone(rows: int) -> None:
    matrix = np.arange(rows * 3, dtype=float).reshape(rows, 3)
    summary = metrics.summarize(matrix)
    assert summary.pop("average_accuracy") == matrix[-1].mean()
    assert set(summary.values()) == {None}


@pytest.mark.parametrize("convert", [np.array, torch.tensor, lambda rows: rows], ids=["numpy", "torch", "list"])
def test_accepts_what_matrices_are_kept_in(convert: object) -> None:
    matrix = convert([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # type: ignore[operator]
    assert metrics.average_accuracy(matrix) == 5.5


def test_null_of_a_result_file_counts_as_not_evaluated() -> None:
    matrix = [[None, None], [None, None], [5.0, 6.0]]
    summary = metrics.summarize(matrix)  # type: ignore[arg-type]
    assert {name for name, value in summary.items() if value is not None} == {
        *("average_accuracy", "mtil_last", "stability"),
    }


@pytest.mark.parametrize("matrix", [[], [[]], [1.0, 2.0]])
def test_no_matrix(matrix: list[float]) -> None:
    with pytest.raises(ValueError, match="shape"):
        metrics.summarize(matrix)
