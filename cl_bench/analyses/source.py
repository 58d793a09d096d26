"""Which run an analysis is of, and which runs are alike, so that one of them is enough."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SCHEMA = 2
"""Of the files that analyses write; rises when what they compute, or say of their run, changes. 2: its images."""

Result = Mapping[str, Any]
Source = Mapping[str, Any]


NEEDS = (
    *("choices.trainer", "choices.merger", "config.trainer", "config.merger"),
    *("scenario.name", "scenario.kind", "datasets.*.images"),
    *("seed", "split", "fingerprint", "tasks.*.name", "training"),
)
"""What is read of a record before its run is opened."""


def source_of(record: Result) -> dict[str, Any]:
    """What an analysis keeps of the record it was made from: enough to name it, and to see that it is still the one."""
    config = record["config"]
    return {
        "choices": {group: record["choices"][group] for group in ("trainer", "merger")},
        "scenario": {key: record["scenario"][key] for key in ("name", "kind")},
        "images": sorted(data["images"] for data in record["datasets"]),
        "method": config.get("method"),
        "trainer": config["trainer"],
        "merger": config["merger"],
        "seed": record["seed"],
        "fingerprint": record["fingerprint"],
        "code": record.get("code"),
        "tasks": [task["name"] for task in record["tasks"]],
    }


def kind(source: Source) -> str:
    """The same for runs that differ in seed, order of arrival or optimization alone.

    The merger and its settings, but for λ, count where tasks start from the merged weights; elsewhere the weights are
    the same whatever the merger.
    """
    merger = {key: value for key, value in source["merger"].items() if key != "scaling"}
    shapes_the_stream = source["trainer"].get("starts_from") == "merged"
    measured = [source["scenario"]["name"], source["images"]]
    settings = [*measured, source["trainer"], merger if shapes_the_stream else None]
    return json.dumps(settings, sort_keys=True)


def has_all_parts(record: Result) -> bool:
    """False for CMM without a part that its scenario has, whose task vectors are much like those of CMM itself."""
    config = record["config"]
    released = config.get("published", {}).get("cmm", {})
    refines = config["trainer"].get("refinement", "") is not None or released.get("refinement", "") is None
    weighs = config["merger"].get("second_moments") is not False or released.get("second_moments") is False
    return refines and weighs


def trained_otherwise(records: Mapping[Path, Result], path: Path) -> list[Path]:
    """Runs that the one at `path` stands for, though they were trained with another rate, say."""

    def optimization(record: Result) -> str:
        return json.dumps(record["config"].get("optim"), sort_keys=True)

    own = records[path]
    return [
        other
        for other, record in records.items()
        if record["split"] == own["split"]
        and kind(source_of(record)) == kind(source_of(own))
        and optimization(record) != optimization(own)
    ]


def representatives(records: Mapping[Path, Result], wants: Callable[[Result], bool]) -> list[Path]:
    """The first run of each kind that is wanted: of the smallest seed, then by path.

    Only runs whose test images were looked at count, so that no choice of settings is among them.
    """
    first: dict[str, Path] = {}
    for path in sorted(records, key=lambda path: (records[path]["seed"], str(path))):
        if records[path]["split"] == "test" and wants(records[path]):
            first.setdefault(kind(source_of(records[path])), path)
    return sorted(first.values())
