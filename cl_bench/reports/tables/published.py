"""Results that others published, from `published_results.csv`: they stand beside our own, as reference only."""

import csv
import functools
import math
from dataclasses import dataclass
from pathlib import Path

from cl_bench.reports.names import method_id

_FILE = Path(__file__).with_name("published_results.csv")
_COLUMNS = ("source", "kind", "backbone", "scenario", "trainer", "merger", "scaling", "metric", "value", "note")
_METRICS = {"last_accuracy": "accuracy", "mean_accuracy": "accuracy", "forgetting_max": "forgetting"}
_BACKBONE = "ViT-B-16"  # of both papers; any other is named


@dataclass(frozen=True)
class Reference:
    """One published number.

    Attributes:
        source: Who published it.
        kind: How they came by it: a re-run, an index of a paper's tables, a documentation.
        scenario: As in `scenario.name` of a record.
        method: As in `config.method` of a record.
        metric: `accuracy`, the scenario's headline in percent, or `forgetting`, max minus last in points.
        value: The number.
        note: What is known about it, including a backbone that is not the papers'.
    """

    source: str
    kind: str
    scenario: str
    method: str
    metric: str
    value: float
    note: str


@functools.cache
def references() -> tuple[Reference, ...]:
    """Returns all published numbers, in the file's order."""
    return read(_FILE)


def read(path: Path) -> tuple[Reference, ...]:
    """Reads published numbers from a CSV file.

    Raises:
        ValueError: Other columns, an unknown metric, or a value that is no percentage; names the line.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise ValueError(f"{path.name} must have the columns {', '.join(_COLUMNS)}, in this order.")
        found = tuple(_reference(row, f"{path.name}, line {reader.line_num}") for row in reader)
    return found


def sources() -> dict[str, str]:
    """Gives each source a letter, in the file's order: the same one in every table."""
    names = dict.fromkeys(reference.source for reference in references())
    return {name: chr(ord("A") + i) for i, name in enumerate(names)}


def _reference(row: dict[str, str], where: str) -> Reference:
    if None in row or not all(row[name] for name in ("source", "kind", "scenario", "trainer")):
        raise ValueError(f"{where}: a field is empty, or there are too many.")
    if row["metric"] not in _METRICS:
        raise ValueError(f"{where}: the metric {row['metric']!r} is none of {', '.join(_METRICS)}.")
    try:
        value = float(row["value"])
    except ValueError:
        value = math.nan
    if not -100 <= value <= 100:
        raise ValueError(f"{where}: the value {row['value']!r} is no percentage.")
    backbone = row["backbone"] if row["backbone"] != _BACKBONE else ""
    return Reference(
        source=row["source"],
        kind=row["kind"],
        scenario=row["scenario"],
        method=method_id(row["trainer"], "last" if row["merger"] == "none" else row["merger"]),
        metric=_METRICS[row["metric"]],
        value=value,
        note="; ".join(filter(None, (backbone, row["note"]))),
    )
