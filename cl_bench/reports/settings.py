"""The settings that tell runs apart, as their user typed them."""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from cl_bench.reports.markdown import Result
from cl_bench.reports.runs import flattened

Settings = dict[str, Any]
"""By dotted name."""

_SHAPE_NO_NUMBER = ("logger", "paths", "debug", "method", "evaluation")  # of `method`, its parts are compared
_OF_LIGHTNING = ("precision", "limit_train_batches")
_REPEATED = ("seed", "task_order")  # what a mean is over


def differing(results: Sequence[Result], alike: Callable[[Result], Hashable], but: str = "") -> list[Settings]:
    """Of each result, the settings that differ among the results that are called alike.

    Seeds and orders of arrival do not count, nor does what shapes no number, such as the place of the images.

    Args:
        results: Records.
        alike: What a result is called beside these settings.
        but: A setting that does not count either.
    """
    groups: dict[Hashable, list[Settings]] = defaultdict(list)
    every = [{name: value for name, value in _settings(result).items() if name != but} for result in results]
    for result, settings in zip(results, every, strict=True):
        groups[alike(result)].append(settings)
    names = dict.fromkeys(name for group in groups.values() for name in _varied(group))
    return [{name: settings[name] for name in names if name in settings} for settings in every]


def typed(settings: Mapping[str, Any]) -> str:
    """Settings as on the command line."""
    return " ".join(f"{name}={text_of(value)}" for name, value in settings.items())


def text_of(value: Any) -> str:
    """A value as it is typed; text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _varied(group: Sequence[Settings]) -> list[str]:
    """Names of the settings that not all of them have alike, in their order."""
    values: dict[str, set[str]] = defaultdict(set)
    for settings in group:
        for name, value in settings.items():
            values[name].add(text_of(value))
    having = {name: sum(name in settings for settings in group) for name in values}
    return [name for name, found in values.items() if len(found) > 1 or having[name] < len(group)]


def _settings(result: Result) -> Settings:
    config = {name: value for name, value in result["config"].items() if name not in (*_SHAPE_NO_NUMBER, *_REPEATED)}
    lightning, scenario = config.pop("lightning", {}), dict(config.get("scenario", {}))
    if "dataset" in config and scenario.get("dataset") == config["dataset"]:
        del scenario["dataset"]  # it is the same, and was typed as dataset.…
    limits = {name: lightning[name] for name in _OF_LIGHTNING if name in lightning}
    flat = flattened({**config, "scenario": scenario, "lightning": limits})
    return {name: value for name, value in flat.items() if not name.endswith(("_order", ".root"))}
