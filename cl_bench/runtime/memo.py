"""What was made of settings once, for the many configurations of a sweep that share them."""

import json
from collections.abc import Callable
from typing import Any

from cl_bench.runtime.errors import UserError


class Memo:
    """What was made, or could not be made, of some settings, so that it is made once for many configurations."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __call__(self, settings: Any, make: Callable[[], Any]) -> Any:
        """What `make` returns or raises, the first time that it is called for these settings."""
        key = json.dumps(settings, sort_keys=True, default=repr)
        if key not in self._made:
            try:
                self._made[key] = make()
            except UserError as error:
                self._made[key] = error
        if isinstance(self._made[key], UserError):
            raise self._made[key]
        return self._made[key]
