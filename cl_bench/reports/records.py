"""The records that runs leave behind: every `result.json` below a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.evaluation.metrics import summarize
from cl_bench.reports.scenario_names import name_scenarios
from cl_bench.runtime.errors import UserError, each
from cl_bench.store import read_result, record_shape

Result: TypeAlias = Mapping[str, Any]
"""A record as `experiment.record` composes it, or a part of it that has the same keys."""

IN_TABLES = (
    *("choices.scenario", "choices.trainer", "choices.merger", "config", "fingerprint", "split", "seed", "training"),
    *("headline.name", "headline.value", "metrics.KIND.forgetting_max_minus_last", "matrix.KIND.*"),
    *("versions", "devices.kind"),
)
"""The keys that tables and comparisons read, beside those that name a record."""

_NAMING = ("scenario.name", "datasets.*.name", "datasets.*.images")


def read_all(folder: Path, needs: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Reads all result records below a folder, and names their scenarios.

    Args:
        folder: Where the runs lie.
        needs: Keys that each record must have, as `record_shape.check` takes them.

    Returns:
        The records in the order of their paths, each with its file under `path`.

    Raises:
        UserError: There is no record, or some are damaged. Names up to ten of them.
    """
    results = each(sorted(folder.glob("**/result.json")), lambda path: read(path, needs))
    if not results:
        raise UserError(f"There is no result.json below {folder}; run the sweep first.")
    return name_scenarios(results)


def read(path: Path, needs: Sequence[str] = ()) -> dict[str, Any]:
    """Reads one record, and adds its file under `path`.

    Raises:
        UserError: The record is damaged, or lacks a key.
    """
    result = read_result(path)
    record_shape.check(result, path, (*_NAMING, *needs))
    return {**result, **_with_all_metrics(result), "path": str(path)}


def _with_all_metrics(result: Result) -> dict[str, Any]:
    """Computes metrics that an older record lacks from its matrices."""
    finetuned = (result.get("finetuned") or {}).get("matrix") or {}
    with_metrics = _with_metrics(result, finetuned)
    if result.get("finetuned"):
        with_metrics["finetuned"] = {**result["finetuned"], **_with_metrics(result["finetuned"], finetuned)}
    if result.get("scalings"):
        with_metrics["scalings"] = [{**one, **_with_metrics(one, finetuned)} for one in result["scalings"]]
    return with_metrics


def _with_metrics(part: Mapping[str, Any], finetuned: Mapping[str, Any]) -> dict[str, Any]:
    kept, matrices = part.get("metrics") or {}, part.get("matrix") or {}
    return {
        "metrics": {
            kind: None if stored is None else {**(summarize(matrix, finetuned.get(kind)) if matrix else {}), **stored}
            for kind, stored in kept.items()
            for matrix in [matrices.get(kind)]
        }
    }
