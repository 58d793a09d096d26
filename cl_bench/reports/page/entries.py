"""What the page says of each run: a short entry for lists and plots, and everything else for whoever opens the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_bench.reports.headline import headline_kind
from cl_bench.reports.markdown import Result
from cl_bench.reports.methods import method_of

_NOT_SHOWN = ("logger", "paths", "debug", "method")  # where things lay, and what stands elsewhere


def entry(result: Result, folder: Path) -> dict[str, Any]:
    """A line of the list of runs: plain data, rounded to what is shown."""
    choices, kind, scalings = result["choices"], headline_kind(result), result["scalings"]
    place = Path(result["path"]).parent.relative_to(folder)
    return {
        "place": place.as_posix(),
        "sweep": place.parts[0] if place.parts else folder.name,
        "scenario": choices["scenario"],
        "method": method_of(result),
        "trainer": choices["trainer"],
        "merger": choices["merger"],
        "scaling": _scaling(result),
        "seed": result["seed"],
        "split": result["split"],
        "kind": kind,
        "tasks": len(result["tasks"]),
        "accuracy": _rounded(result["headline"]["value"]),
        "forgetting": _rounded(result["metrics"][kind]["forgetting_max_minus_last"]),
        "seconds": _rounded(sum(result["seconds"].values())),
        "memory": _rounded(max(filter(None, result["peak_memory_mib"].values()), default=None)),
        "scalings": [
            [one["scaling"], _rounded(_headline(one, result)), _rounded(one["validation"])] for one in scalings or ()
        ],
    }


def everything(result: Result) -> dict[str, Any]:
    """What is read when the run is opened or drawn. Of other λ than the reported one, it is in the entry."""
    finetuned = result["finetuned"]
    return {
        "fingerprint": result["fingerprint"],
        "config": {name: value for name, value in result["config"].items() if name not in _NOT_SHOWN},
        "matrix": {"merged": _kinds(result["matrix"]), "finetuned": finetuned and _kinds(finetuned["matrix"])},
        "after": _kinds(result["accuracy_after_task"]),
        "metrics": _kinds(result["metrics"]),
        "left_out": result["left_out"],
        "tasks": [[task["name"], task["classes"], task["images"]] for task in result["tasks"]],
        "training": [
            [_rounded(one["seconds"]), _rounded(one["peak_memory_mib"]), one["steps"], one["reused"]]
            for one in result["training"]
        ],
        "seconds": _rounded(result["seconds"], 3),
        "memory": _rounded(result["peak_memory_mib"]),
        "datasets": result["datasets"],
        "devices": result["devices"],
        "versions": result["versions"],
    }


def _kinds(of_each: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are left out."""
    return {kind: _rounded(values) for kind, values in of_each.items() if values is not None}


def _scaling(result: Result) -> float | None:
    """The λ of what is reported: where there are several, the chosen one, or else the first."""
    if result["scalings"]:
        return next((one for one in result["scalings"] if one["chosen"]), result["scalings"][0])["scaling"]
    given = result["config"]["merger"].get("scaling")
    return given[0] if isinstance(given, list) else given


def _headline(one: Mapping[str, Any], result: Result) -> float | None:
    value: Any = one
    for key in result["headline"]["name"].split("."):
        value = value[key]
    return value


def _rounded(value: Any, digits: int = 2) -> Any:
    """The same data with shorter numbers: a page of a thousand runs has millions of them."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {name: _rounded(item, digits) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item, digits) for item in value]
    return value
