"""The settings that tell runs apart, as their user typed them."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from cl_bench.reports.records import Result
from cl_bench.store.later_settings import without_later

Settings: TypeAlias = dict[str, Any]
"""Values under dotted names."""

# On the numbers; a method's parts are compared.
_WITHOUT_EFFECT = ("logger", "paths", "debug", "save_merged", "method", "evaluation", "retention")
_LIGHTNING_WITH_EFFECT = ("precision", "limit_train_batches", "matmul_precision")
_REPEATED = ("seed", "task_order")  # what a mean is over
_NAMED_BY_CHOICE = ("backbone", "head")  # a choice of these brings many settings


def differing(results: Sequence[Result], group: Callable[[Result], Hashable], ignored: str = "") -> list[Settings]:
    """Finds, for each record, the settings that differ among the records of its group.

    Seeds and orders of arrival do not count, nor do settings that change no number, such as where the images lie. Two
    backbones or heads are told apart by their choices, `backbone=vit_b_16`, and not by all that these bring.

    Args:
        results: The records.
        group: What a record is called apart from these settings.
        ignored: One more setting that does not count.

    Returns:
        For each record its values of all settings that differ in any group.
    """
    choices = [_typed_choices(result) for result in results]
    chosen = _of_differing_names(choices, [group(result) for result in results])
    settings = [{name: value for name, value in _compared(result).items() if name != ignored} for result in results]
    groups = [(group(result), typed(choice)) for result, choice in zip(results, chosen, strict=True)]
    others = _of_differing_names(settings, groups)
    return [{**choice, **other} for choice, other in zip(chosen, others, strict=True)]


def choice_of(result: Result, group: str) -> str:
    """What was chosen of a group, such as `vit_b_16`; empty where an earlier version did not write it down."""
    of_earlier = "zero_shot" if group == "head" else ""  # there was no other
    choice: str = result["choices"].get(group, of_earlier)
    return choice


def typed_choice(group: str, choice: str) -> tuple[str, str]:
    """A choice as it is typed; a class of the user's own goes by its import path."""
    return (f"{group}._target_" if "." in choice else group), choice


def _typed_choices(result: Result) -> Settings:
    return dict(typed_choice(name, choice) for name in _NAMED_BY_CHOICE if (choice := choice_of(result, name)))


def _of_differing_names(settings: Sequence[Settings], groups: Sequence[Hashable]) -> list[Settings]:
    """Keeps the settings that differ in any group."""
    members: dict[Hashable, list[Settings]] = defaultdict(list)
    for group, its_settings in zip(groups, settings, strict=True):
        members[group].append(its_settings)
    names = dict.fromkeys(name for each in members.values() for name in _varying(each))
    return [{name: each[name] for name in names if name in each} for each in settings]


def typed(settings: Mapping[str, Any]) -> str:
    """Writes settings as on the command line."""
    return " ".join(f"{name}={typed_value(value)}" for name, value in settings.items())


def typed_value(value: Any) -> str:
    """Writes a value as on the command line; text goes without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flattened(node: Mapping[str, Any], prefix: str = "") -> Settings:
    """Brings nested settings under dotted names."""
    flat: Settings = {}
    for key, value in node.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def class_names(result: Result) -> dict[str, str]:
    """A short hash of each data set's class names, of which there may be thousands."""
    return {
        f"class_names.{data['name']}": hashlib.sha256(json.dumps(data["class_names"]).encode()).hexdigest()[:8]
        for data in result["datasets"]
        if "class_names" in data
    }


def _varying(members: Sequence[Settings]) -> list[str]:
    """Names of the settings in which these differ, or that some of them lack."""
    values: dict[str, set[str]] = defaultdict(set)
    for settings in members:
        for name, value in settings.items():
            values[name].add(typed_value(value))
    present = {name: sum(name in settings for settings in members) for name in values}
    return [name for name, found in values.items() if len(found) > 1 or present[name] < len(members)]


def _compared(result: Result) -> Settings:
    config = without_later(result["config"])
    config = {name: value for name, value in config.items() if name not in (*_WITHOUT_EFFECT, *_REPEATED)}
    lightning, scenario = config.pop("lightning", {}), dict(config.get("scenario", {}))
    if "dataset" in config and scenario.get("dataset") == config["dataset"]:
        del scenario["dataset"]  # the same settings, which were typed as dataset.…
    limits = {name: lightning[name] for name in _LIGHTNING_WITH_EFFECT if name in lightning}
    flat = flattened({**config, "scenario": scenario, "lightning": limits})
    return {name: value for name, value in flat.items() if not name.endswith(("_order", ".root"))}
