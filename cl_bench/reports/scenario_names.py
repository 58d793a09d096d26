"""What scenarios are called beside each other, and the order of their columns.

Two data sets never share a name: where records of one scenario are of different images, the name carries the beginning
of the images' SHA-256.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

_NAME = "name_among_others"  # the key under which a record keeps its scenario's name
_DIGITS = 8  # of a SHA-256, in hexadecimal

_TASKS = {
    "cifar100": (5, 10, 20, 50),
    "imagenet_r": (5, 10, 20, 50),
    "cub200": (5, 10, 20),
    "cars": (5, 10, 20),
    "digits": (5,),
    "glyphs": (5, 10, 20),
}
_PAPERS_ORDER = (
    *(f"{dataset}_{tasks}" for dataset, numbers in _TASKS.items() for tasks in numbers),
    *("imagenet_r_domains", "domainnet", "office31", "office_home", "image_clef", "glyphs_domains"),
    *("eight_datasets", "fourteen_datasets", "twenty_datasets", "mtil", "x_tail", "mini_eight"),
)


def name_scenarios(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gives each record the name that its scenario has among all of them, see `scenario_name`.

    Args:
        results: Everything that goes into one table, figure, page or comparison.
    """
    images: dict[str, set[str]] = defaultdict(set)
    for result in results:
        images[result["scenario"]["name"]].add(_images(result))
    return [{**result, _NAME: _distinct_name(result, images)} for result in results]


def scenario_name(record: Mapping[str, Any]) -> str:
    """The name that `name_scenarios` gave the record's scenario, or else the one that the record itself says."""
    name: str = record.get(_NAME, record["scenario"]["name"])
    return name


def scenario_position(name: str) -> tuple[int, str]:
    """Sorts scenarios: the papers' in their order, then all others by name."""
    return (_PAPERS_ORDER.index(name) if name in _PAPERS_ORDER else len(_PAPERS_ORDER)), name


def _distinct_name(result: Mapping[str, Any], images: Mapping[str, set[str]]) -> str:
    name: str = result["scenario"]["name"]
    return name if len(images[name]) == 1 else f"{name} [{_images(result)[:_DIGITS]}]"


def _images(result: Mapping[str, Any]) -> str:
    """The SHA-256 of all images of a record, whatever the order in which its data sets arrived."""
    identities = sorted(data["images"] for data in result["datasets"])
    return identities[0] if len(identities) == 1 else hashlib.sha256("".join(identities).encode()).hexdigest()
