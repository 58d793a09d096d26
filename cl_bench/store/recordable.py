"""Checks before training that `result.json` will be able to hold the settings."""

from collections.abc import Mapping
from typing import Any

from cl_bench.runtime.errors import UserError
from cl_bench.store.plain import to_plain


def check(settings: Mapping[str, Any]) -> None:
    """Refuses settings that `result.json` could not hold.

    Raises:
        UserError: A value is not plain data, is NaN or infinite, or is text that cannot be encoded; names the setting.
    """
    for name, value in settings.items():
        try:
            to_plain(value, name, nonfinite="refuse")
        except ValueError as error:
            raise UserError(f"{error}; change this setting.") from error
