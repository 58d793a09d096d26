"""Makes each thing once for the many configurations of a sweep that share its settings."""

import json
from collections.abc import Callable
from typing import Any

from cl_bench.runtime.errors import UserError


class Memo:
    """Remembers what was made from some settings, or why it could not be made."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __call__(self, settings: Any, make: Callable[[], Any]) -> Any:
        """Calls `make` the first time that it is asked for these settings; later returns or raises the same again."""
        key = json.dumps(settings, sort_keys=True, default=repr)
        if key not in self._made:
            try:
                self._made[key] = make()
            except UserError as error:
                self._made[key] = error
        if isinstance(self._made[key], UserError):
            raise self._made[key]
        return self._made[key]
