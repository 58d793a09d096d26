"""What the page says about each run: a short entry for lists and plots, and details for whoever opens the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_bench.reports.headline import headline_at, headline_kind, is_null
from cl_bench.reports.kinds import kind_of
from cl_bench.reports.names import method_of
from cl_bench.reports.records import Result
from cl_bench.reports.scaling import HOW_TO_CHOOSE, is_unchosen, scaling_of
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.settings import choice_of, differing, typed
from cl_bench.reports.shown import value_of
from cl_bench.reports.task_names import task_names

_HIDDEN = ("logger", "paths", "debug", "save_merged", "method")  # where things lay, and what the entry says
_MOST_CLASS_NAMES = 20


def entries(results: Sequence[Result], folder: Path) -> list[dict[str, Any]]:
    """Makes the list of runs. `settings` tell runs of one scenario and method apart, but for λ."""
    named = differing(results, lambda result: (scenario_name(result), method_of(result)), ignored="merger.scaling")
    made = [entry(result, folder) for result in results]
    encoders = [" ".join(choice_of(result, group) for group in ("backbone", "head")) for result in results]
    return [
        {**one, "settings": typed(settings), "encoder": encoder}
        for one, settings, encoder in zip(made, named, encoders, strict=True)
    ]


def entry(result: Result, folder: Path) -> dict[str, Any]:
    """Makes a line of the list of runs: plain data, rounded to what is shown.

    A run with several λ from which nobody chose has each of them, and no accuracy of its own.
    """
    choices, kind = result["choices"], headline_kind(result)
    scalings = None if is_null(result) else result["scalings"]  # whose accuracies belong beside no others
    unchosen = is_unchosen(result)
    place = Path(result["path"]).parent.relative_to(folder)
    return {
        "place": place.as_posix(),
        "sweep": place.parts[0] if place.parts else folder.name,
        "scenario": scenario_name(result),
        "method": method_of(result) + (f" ({special.flag})" if (special := kind_of(result)) else ""),
        "trainer": choices["trainer"],
        "merger": choices["merger"],
        "scaling": scaling_of(result),
        "seed": result["seed"],
        "split": result["split"],
        "kind": kind,
        "tasks": len(result["tasks"]),
        "accuracy": None if unchosen else _rounded(value_of(result, "accuracy")),
        "forgetting": None if unchosen else _rounded(value_of(result, "forgetting")),
        "seconds": _rounded(sum(result["seconds"].values())),
        "memory": _rounded(max(filter(None, result["peak_memory_mib"].values()), default=None)),
        "scalings": [
            [one["scaling"], _rounded(headline_at(one, result)), _rounded(one["validation"])] for one in scalings or ()
        ],
    }


def details(result: Result) -> dict[str, Any]:
    """Collects what is read when the run is opened or drawn. The numbers of other λ are in the entry."""
    finetuned, unchosen, tasks = result["finetuned"], is_unchosen(result), result["tasks"]
    return {
        "fingerprint": result["fingerprint"],
        "config": _shortened({name: value for name, value in result["config"].items() if name not in _HIDDEN}),
        "matrix": {
            "merged": None if unchosen else _kinds(result["matrix"]),
            "finetuned": finetuned and _kinds(finetuned["matrix"]),
        },
        "after": {} if unchosen else _kinds(result["accuracy_after_task"]),
        "metrics": {} if unchosen else _kinds(result["metrics"]),
        "unchosen": HOW_TO_CHOOSE if unchosen else None,
        "left_out": result["left_out"],
        "notes": result.get("notes") or [],
        "tasks": [[task["name"], task["classes"], task["images"], task["training_images"]] for task in tasks],
        "task_names": task_names(result["scenario"], [task["name"] for task in tasks]),
        "training": [
            [_rounded(one["seconds"]), _rounded(one["peak_memory_mib"]), one["steps"], one["reused"]]
            for one in result["training"]
        ],
        "seconds": _rounded(result["seconds"], 3),
        "memory": _rounded(result["peak_memory_mib"]),
        "datasets": [{name: data[name] for name in ("name", "split", "images")} for data in result["datasets"]],
        "devices": result["devices"],
        "versions": result["versions"],
    }


def _shortened(node: Any, name: str = "") -> Any:
    """Leaves out thousands of class names, which each run of the page would bring again."""
    if name == "class_names" and isinstance(node, Mapping | list) and len(node) > _MOST_CLASS_NAMES:
        return f"{len(node)} names"
    if isinstance(node, Mapping):
        return {key: _shortened(value, key) for key, value in node.items()}
    return node


def _kinds(values_by_kind: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps the kinds of accuracy that are not left out."""
    return {kind: _rounded(values) for kind, values in values_by_kind.items() if values is not None}


def _rounded(value: Any, digits: int = 2) -> Any:
    """Shortens all numbers: a page of a thousand runs has millions of them."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {name: _rounded(item, digits) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item, digits) for item in value]
    return value
