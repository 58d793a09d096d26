"""Settings that records of earlier versions do not have."""

from collections.abc import Mapping
from typing import Any

_OWN = "cl_bench.mergers."
ZERO_SHOT = {"_target_": "cl_bench.heads.ZeroShot"}
"""The head of records that do not name one."""
_FLOAT32 = ("matmul_precision", "highest")


def without_later(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as an earlier version would have written it, where it asks for nothing that came later.

    Args:
        config: Plain data.
    """
    kept = {name: value for name, value in config.items() if not (name == "head" and value == ZERO_SHOT)}
    if isinstance(lightning := config.get("lightning"), Mapping):
        kept["lightning"] = {key: value for key, value in lightning.items() if (key, value) != _FLOAT32}
    return {**kept, "merger": as_before(config.get("merger"))}


def as_before(merger: Any) -> Any:
    """A merger's settings without weights of tasks that are null, which came later and change nothing.

    So what was trained, and what was recorded, before there were weights is found again, and stands beside newer
    results. Nothing is imported. Classes from outside the project keep all of their settings.

    Args:
        merger: Plain data, as in a configuration.
    """
    if isinstance(merger, list):
        return [as_before(item) for item in merger]
    if not isinstance(merger, Mapping):
        return merger
    is_own = str(merger.get("_target_", "")).startswith(_OWN)
    return {
        key: as_before(value) for key, value in merger.items() if not (is_own and key == "weights" and value is None)
    }
