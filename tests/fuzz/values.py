"""Values for a setting, told apart by its type: those that it takes, and those that it must refuse."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

import pydantic
import yaml

_POOL: Sequence[Any] = (
    *(None, True, False, -1, 0, 1, 2, 3, 10, 40),
    *(-0.5, 0.0, 1e-9, 0.3, 0.5, 1.0, 1.5, 1e9, 1e30, math.nan, math.inf),
    *("word", "two words", "null-ish", "", [], [1], [0.2, 0.5], ["word"], {}, {"word": 1}),
)

_LARGEST = {  # what takes long, or memory, is drawn small
    "devices": 1, "nodes": 1, "workers": 1, "epochs": 3, "steps": 3, "train_per_class": 3, "test_per_class": 3,
}  # fmt: skip


def told_apart(name: str, annotation: Any) -> tuple[list[Any], list[Any]]:
    """Values that the type of a setting allows, and others; all of them are allowed where it has no type.

    Args:
        name: Of the setting, the last part.
        annotation: Of the constructor's parameter.
    """
    pool = [*_POOL, *_literals(annotation)]
    pool = [value for value in pool if not _is_number(value) or value <= _LARGEST.get(name, math.inf)]
    fits = _fits(annotation)
    return [value for value in pool if fits(value)], [value for value in pool if not fits(value)]


def typed(value: Any) -> str:
    """As it is typed on the command line, within quotes where Hydra's grammar asks for them."""
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _literals(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        if isinstance(part, str | int):
            yield part
        else:
            yield from _literals(part)


def _fits(annotation: Any) -> Callable[[Any], bool]:
    try:
        adapter = pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticSchemaGenerationError:
        return lambda value: True

    def fits(value: Any) -> bool:
        try:
            adapter.validate_python(value)
        except pydantic.ValidationError:
            return False
        return True

    return fits
