"""A grid of λ in one run: the merged model is evaluated with each λ, and validation images choose one."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from cl_bench.evaluation import Counts
from cl_bench.evaluation.accuracies import accuracies
from cl_bench.experiment.counting import counted
from cl_bench.experiment.evaluating import merged_counts
from cl_bench.experiment.parts import Parts
from cl_bench.experiment.state import Run


def on_validation(run: Run) -> list[float] | None:
    """The headline, or what decides in its place, of the last merged model on validation images, for each λ.

    None where there is nothing to choose: one λ only, or a scenario that sets no images aside.
    """
    parts = run.parts
    if len(parts.scalings) == 1 or "validation" not in parts.scenario.streams:
        return None
    first: Sequence[Counts | None]
    first, last = run.rows[0].merged, run.rows[-1].merged
    if parts.evaluation.split == "test":
        evaluator = parts.evaluator("validation")
        first = first and [counted(run, evaluator, parts.pretrained)] * len(parts.scalings)
        last = merged_counts(run, evaluator)
    first = first or [None] * len(parts.scalings)
    return [_deciding(parts, models) for models in zip(first, last, strict=True)]


def chosen(validation: Sequence[float] | None) -> int:
    """The index of the λ that is reported: the first of the best on validation images, or else 0."""
    return 0 if validation is None else max(range(len(validation)), key=lambda i: validation[i])


def record(run: Run, validation: Sequence[float] | None) -> list[dict[str, Any]] | None:
    """What the record says of each λ; None where there is only one."""
    parts = run.parts
    if len(parts.scalings) == 1:
        return None
    return [
        {
            "scaling": scaling,
            "validation": None if validation is None else validation[i],
            "chosen": validation is not None and i == chosen(validation),
            **accuracies(
                [row.merged[i] if row.merged else None for row in run.rows],
                _tasks(parts),
                parts.kinds,
                run.finetuned,
                parts.comparable,
            ),
        }
        for i, scaling in enumerate(parts.scalings)
    ]


def at(record: Mapping[str, Any], path: str) -> Any:
    """The value in a record at a path such as `accuracy.task_agnostic`; None where part of the path is null."""
    return reduce(lambda part, key: None if part is None else part[key], path.split("."), record)


def _deciding(parts: Parts, models: Sequence[Counts | None]) -> float:
    accuracy: float = at(accuracies(models, _tasks(parts), parts.kinds), parts.deciding)
    return accuracy


def _tasks(parts: Parts) -> int:
    return len(parts.scenario.test_stream)
