"""Plain data: what JSON can hold without guessing."""

import math
from collections.abc import Mapping
from typing import Any, Literal


def to_plain(value: Any, where: str, nonfinite: Literal["null", "refuse"]) -> Any:
    """A copy of plain data that strict JSON can hold.

    Plain data are None, bool, int, float, str that can be encoded, lists, tuples, and mappings with text keys.

    Args:
        value: The data.
        where: Its name, for messages.
        nonfinite: What becomes of NaN and infinity, which JSON does not have.

    Raises:
        ValueError: There is something else in it; names its place ("config.optim.betas[1]").
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        if nonfinite == "null":
            return None
        raise ValueError(f"{where} is {value}, which plain data cannot hold")
    if isinstance(value, (list, tuple)):
        return [to_plain(item, f"{where}[{i}]", nonfinite) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{where} has the key {key!r}; keys of plain data are text")
            _text(key, f"a key of {where}")
        return {key: to_plain(item, f"{where}.{key}", nonfinite) for key, item in value.items()}
    raise ValueError(f"{where} is a {type(value).__name__}, which is no plain data")


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:  # the bytes of a file name are not UTF-8
        raise ValueError(f"{where} is {value!a}, which is no text that can be written") from error
    return value


def text_keys(value: Any) -> Any:
    """A copy of nested data whose mappings have text keys: YAML reads the `0` of `{0: zero}` as a number."""
    if isinstance(value, Mapping):
        return {str(key): text_keys(item) for key, item in value.items()}
    return [text_keys(item) for item in value] if isinstance(value, list) else value
