"""Which numbers of a run a table shows: its accuracy, and any of the metrics of its accuracy matrix."""

from cl_bench.evaluation.metrics import METRICS
from cl_bench.reports.headline import headline_kind, is_null
from cl_bench.reports.records import Result
from cl_bench.runtime.errors import UserError

ACCURACY = "accuracy"
"""The headline of a run."""

RETENTION = "retention"
"""The mean accuracy on data sets that are never trained on, after the last task."""

_SHORT = {"forgetting": "forgetting_max_minus_last"}

DEFAULT = (ACCURACY, "forgetting", RETENTION)
"""What tables show if nothing is chosen, as far as there are such numbers."""


def chosen(typed: str) -> tuple[str, ...]:
    """The metrics that a user names, separated by commas.

    Raises:
        UserError: There is no such metric; lists all.
    """
    names = tuple(dict.fromkeys(name.strip() for name in typed.split(",") if name.strip()))
    known = (ACCURACY, *_SHORT, *METRICS, RETENTION)
    for name in names:
        if name not in known:
            raise UserError(f"There is no metric {name!r}. There are: {', '.join(known)}.")
    if not names:
        raise UserError(f"--metrics names no metric. There are: {', '.join(known)}.")
    return names


def value_of(result: Result, metric: str) -> float | None:
    """A run's number; None where it has none. Metrics are those of the headline's kind of accuracy."""
    if metric != RETENTION and is_null(result):
        return None
    if metric == ACCURACY:
        accuracy: float | None = result["headline"]["value"]
        return accuracy
    if metric == RETENTION:
        retention: float | None = (result.get("retention") or {}).get("last")
        return retention
    value: float | None = (result["metrics"].get(headline_kind(result)) or {}).get(_SHORT.get(metric, metric))
    return value


def meaning(metric: str, splits: str) -> str:
    """What a table's numbers are, for its caption.

    Args:
        metric: Its name.
        splits: Which images, such as `test`.
    """
    if metric == ACCURACY:
        return f"Accuracy after the last task, in percent of the {splits} images"
    if metric == RETENTION:
        return "Mean accuracy after the last task on data sets that are never trained on, in percent of test images"
    return METRICS[_SHORT.get(metric, metric)].caption


def higher_is_better(metric: str) -> bool:
    """Which end of the numbers is the best."""
    return metric in (ACCURACY, RETENTION) or METRICS[_SHORT.get(metric, metric)].higher_is_better
