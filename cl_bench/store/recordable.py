"""Whether a record can hold the settings; better known before training than after."""

from collections.abc import Mapping
from typing import Any

from cl_bench.runtime.errors import UserError
from cl_bench.store.plain import to_plain


def check(settings: Mapping[str, Any]) -> None:
    """Refuses settings that `result.json` could not hold.

    Raises:
        UserError: A value is no plain data, or NaN or infinite, or text that cannot be encoded; names the setting.
    """
    for name, value in settings.items():
        try:
            to_plain(value, name, nonfinite="refuse")
        except ValueError as error:
            raise UserError(f"{error}; change this setting.") from error
