"""The run that an analysis is made from, described so that it can be named and recognized."""

import json
from collections.abc import Mapping
from typing import Any

from cl_bench.store.later_settings import ZERO_SHOT

SCHEMA = 3
"""Version of the files that analyses write. It rises when analyses compute something else, or describe the run
otherwise. 2: the images of the run. 3: its backbone and head."""

Record = Mapping[str, Any]
Source = Mapping[str, Any]


NEEDS = (
    *("choices.trainer", "choices.merger", "config.trainer", "config.merger"),
    *("scenario.name", "scenario.kind", "datasets.*.images"),
    *("seed", "split", "fingerprint", "tasks.*.name", "training"),
)
"""Entries of a record that are read before its run is opened."""


def describe(record: Record) -> dict[str, Any]:
    """Describes a run for its analyses: enough to name it, and to see later whether it is still the same run."""
    config, choices = record["config"], {group: record["choices"][group] for group in ("trainer", "merger")}
    if (head := record["choices"].get("head", "zero_shot")) != "zero_shot":  # which earlier versions do not name
        choices["head"] = head
    return {
        "choices": choices,
        "backbone": config.get("backbone"),
        "head": config.get("head", ZERO_SHOT),
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
    """A text that is the same for runs that differ only in their seed, order of arrival or optimization of the encoder.

    The merger and its settings other than λ count where tasks start from the merged weights. Elsewhere every merger
    gets the same weights.
    """
    merger = {key: value for key, value in source["merger"].items() if key != "scaling"}
    merger_counts = source["trainer"].get("starts_from") == "merged"
    images = [source["scenario"]["name"], source["images"]]
    encoder = [source.get("backbone"), source.get("head")]  # which schema 2 does not have
    return json.dumps([*images, *encoder, source["trainer"], merger if merger_counts else None], sort_keys=True)
