"""What the scenarios of records are called beside each other: other images never share a name."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

_DIGITS = 8  # of a SHA-256, hexadecimal


def scenario_of(result: Result) -> str:
    """The scenario's name, as `told_apart` has left it among other records."""
    name: str = result.get("told_apart", result["scenario"]["name"])
    return name


def told_apart(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The records, those of one name but of different images with the beginning of their SHA-256 beside it.

    Args:
        results: All that is put into one table, figure, page or comparison.
    """
    images: dict[str, set[str]] = defaultdict(set)
    for result in results:
        images[result["scenario"]["name"]].add(_images(result))
    return [{**result, "told_apart": _name(result, images)} for result in results]


def _name(result: Result, images: dict[str, set[str]]) -> str:
    name: str = result["scenario"]["name"]
    return name if len(images[name]) == 1 else f"{name} [{_images(result)[:_DIGITS]}]"


def _images(result: Result) -> str:
    """SHA-256 of all images of a record; of several data sets, whatever the order in which they arrived."""
    identities = sorted(data["images"] for data in result["datasets"])
    return identities[0] if len(identities) == 1 else hashlib.sha256("".join(identities).encode()).hexdigest()
