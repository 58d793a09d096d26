"""A grid of λ within one run: merged once, evaluated with each, and one of them chosen without the test images."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from cl_bench.evaluation import Counts, accuracies
from cl_bench.experiment.evaluating import counted
from cl_bench.experiment.parts import Parts
from cl_bench.experiment.state import Run


def on_validation(run: Run) -> list[float] | None:
    """The headline of the last merged model on validation images, for each λ; None if no choice can be made of it.

    That is so where there is one λ, and where the scenario sets no images aside.
    """
    parts = run.parts
    if len(parts.scalings) == 1 or "validation" not in parts.scenario.streams:
        return None
    first, last = run.rows[0].merged, run.rows[-1].merged
    if parts.evaluation.split == "test":
        evaluator = parts.evaluator("validation")
        first = [counted(run, evaluator, parts.pretrained)] * len(parts.scalings)
        last = [counted(run, evaluator, model) for model in run.merged.with_each_scaling()]
    return [_headline(parts, models) for models in zip(first, last, strict=True)]


def chosen(validation: Sequence[float] | None) -> int:
    """Which λ is reported: the best on validation images, and the first of equals; without such images the first."""
    return 0 if validation is None else max(range(len(validation)), key=lambda i: validation[i])


def record(run: Run, validation: Sequence[float] | None) -> list[dict[str, Any]] | None:
    """What a result says of each λ; None where there is one."""
    parts = run.parts
    if len(parts.scalings) == 1:
        return None
    return [
        {
            "scaling": scaling,
            "validation": None if validation is None else validation[i],
            "chosen": validation is not None and i == chosen(validation),
            **accuracies([row.merged[i] if row.merged else None for row in run.rows], _tasks(parts), parts.kinds),
        }
        for i, scaling in enumerate(parts.scalings)
    ]


def at(record: Mapping[str, Any], path: str) -> Any:
    """What lies in a record under a path such as `accuracy.task_agnostic`."""
    return reduce(lambda part, key: part[key], path.split("."), record)


def _headline(parts: Parts, models: Sequence[Counts]) -> float:
    return at(accuracies(models, _tasks(parts), parts.kinds), parts.scenario.headline)


def _tasks(parts: Parts) -> int:
    return len(parts.scenario.test_stream)
