"""Plain data: what JSON can hold, and nothing that has to be guessed."""

import math
from collections.abc import Mapping
from typing import Any, Literal


def to_plain(value: Any, where: str, nonfinite: Literal["null", "refuse"]) -> Any:
    """A copy of plain data that strict JSON can hold.

    Plain are None, bool, int, float, str, lists and tuples, and mappings with text keys.

    Args:
        value: The data.
        where: Its name, for messages.
        nonfinite: What becomes of NaN and infinity, which JSON does not have.

    Raises:
        ValueError: Something else is in it; names its place ("config.optim.betas[1]").
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
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
        return {key: to_plain(item, f"{where}.{key}", nonfinite) for key, item in value.items()}
    raise ValueError(f"{where} is a {type(value).__name__}, which is no plain data")
