"""The name of what a run measures, for its record and for every table, figure and comparison made from it.

A name has the data set, the kind of the tasks and their number: `flowers (class-incremental, 5 tasks)`. A scenario of
the project keeps its short name, `digits_5`, as long as the run has its data set, kind and number of tasks. With
`scenario=digits_5 scenario.tasks=2` it has not. A few training images of each class are part of the name:
`digits_5 (16 shots)`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_bench.scenarios import Scenario

_CLASSES = {
    "cifar100": ("cifar100", (5, 10, 20, 50)),
    "imagenet_r": ("imagenet_r", (5, 10, 20, 50)),
    "cub200": ("cub200", (5, 10, 20)),
    "cars": ("cars", (5, 10, 20)),
    "digits": ("digits", (5,)),
    "glyphs60": ("glyphs", (5, 10, 20)),
}
_DOMAINS = {
    "imagenet_r": "imagenet_r_domains",
    "domainnet": "domainnet",
    "office31": "office31",
    "office_home": "office_home",
    "image_clef": "image_clef",
    "glyph_domains": "glyphs_domains",
}
_EIGHT = ("cars", "mnist", "eurosat", "svhn", "resisc45", "sun397", "dtd", "gtsrb")
_FOURTEEN = (*_EIGHT, "cifar100", "stl10", "flowers102", "oxford_iiit_pet", "pcam", "fer2013")
_TWENTY = (*_FOURTEEN, "emnist", "cifar10", "food101", "fashion_mnist", "rendered_sst2", "kmnist")
_X_TAIL = (
    *("aircraft", "caltech101", "dtd", "eurosat", "flowers102", "food101", "mnist", "oxford_iiit_pet", "cars"),
    "sun397",
)
_DATASETS = {
    "eight_datasets": _EIGHT,
    "fourteen_datasets": _FOURTEEN,
    "twenty_datasets": _TWENTY,
    "mtil": (*_X_TAIL, "cifar100"),
    "mini_eight": (*("digits", "capitals", "small_letters", "greek", "symbols", "games", "textures", "handwritten"),),
}
_X_TAIL_SHOTS = 16
_UNKNOWN_TASK = "dataset-incremental, task unknown"
_MOST_NAMED = 4  # data sets, in one name


def measured(config: Mapping[str, Any], scenario: "Scenario") -> dict[str, Any]:
    """What a run measures, with its name, as plain data for the record."""
    kind, tasks = scenario.kind or type(scenario).__name__, len(scenario.test_stream)
    names = [data.name for data in scenario.datasets]
    shots = [data.shots.per_class if data.shots else None for data in scenario.datasets]
    name = scenario_name(kind, names, tasks, ours=are_ours(config), shots=shots)
    return {"name": name, "datasets": names, "kind": kind, "tasks": tasks}


def scenario_name(
    kind: str, datasets: Sequence[str], tasks: int, ours: bool, shots: Sequence[int | None] = (None,)
) -> str:
    """The name of a scenario.

    Args:
        kind: The scenario's kind, such as `class-incremental`.
        datasets: Names of its data sets.
        tasks: Number of its tasks.
        ours: Whether all data sets are the project's own; a user's folder may have the name `cars`, too.
        shots: Training images of each class that were drawn, data set by data set; None: all are there.
    """
    if ours and sorted(datasets) == sorted(_X_TAIL) and kind == _UNKNOWN_TASK and {*shots} == {_X_TAIL_SHOTS}:
        return "x_tail"
    drawn = _drawn(datasets, shots)
    if ours and (short := _short(kind, datasets, tasks)):
        return f"{short} ({drawn})" if drawn else short
    named = " + ".join(datasets[:_MOST_NAMED])
    more = f" + {len(datasets) - _MOST_NAMED} more" if len(datasets) > _MOST_NAMED else ""
    said = [kind, f"{tasks} {'task' if tasks == 1 else 'tasks'}", *([drawn] if drawn else [])]
    return f"{named}{more} ({', '.join(said)})"


def _drawn(datasets: Sequence[str], shots: Sequence[int | None]) -> str:
    if len({*shots}) == 1:
        return _shots(shots[0]) if shots[0] else ""
    drawn = [f"{_shots(count)} of {name}" for name, count in zip(datasets, shots, strict=True) if count]
    return ", ".join(drawn)


def _shots(count: int) -> str:
    return f"{count} {'shot' if count == 1 else 'shots'}"


def are_ours(config: Mapping[str, Any]) -> bool:
    """Whether all images of a run come from the project's own data sets, rather than from a user's folder."""
    return all(re.fullmatch(r"cl_bench\.datasets\.(?!folder\.)\w+\.load", name) for name in _loaders(config))


def _loaders(config: Mapping[str, Any]) -> Iterator[str]:
    scenario = config["scenario"]
    nodes = [*scenario["datasets"].values()] if "datasets" in scenario else [scenario.get("dataset") or {}]
    yield from (str((node or {}).get("_target_")) for node in nodes)


def _short(kind: str, datasets: Sequence[str], tasks: int) -> str | None:
    if kind == "dataset-incremental":
        return next((name for name, own in _DATASETS.items() if sorted(own) == sorted(datasets)), None)
    if kind == "domain-incremental":
        return _DOMAINS.get(datasets[0])
    family, numbers = _CLASSES.get(datasets[0], ("", ()))
    return f"{family}_{tasks}" if kind == "class-incremental" and tasks in numbers else None
