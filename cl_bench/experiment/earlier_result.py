"""Keeps an earlier result that lies where a run will write its own."""

import contextlib
import itertools
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.store.later_settings import without_later
from cl_bench.store.plain import to_plain

log = logging.getLogger(__name__)

_KEYS_WITHOUT_NUMBERS = ("choices", "logger", "paths", "debug", "lightning", "save_merged")
_LIGHTNING_WITH_NUMBERS = ("precision", "limit_train_batches", "matmul_precision")


def set_aside(path: Path, config: Mapping[str, Any]) -> None:
    """Renames the record at `path` if it is of another configuration, and says so.

    A record of the same configuration will be replaced, and so will a file that is no record.

    Args:
        path: The `result.json` in a run's folder; it need not exist.
        config: The resolved configuration of the record that will be written.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, TypeError, KeyError):
        return
    with contextlib.suppress(AttributeError, KeyError):  # of another version, whose configurations differ in shape
        if what_counts(found) == what_counts(config):
            return
    numbered = ((number, path.with_name(f"{path.stem}_{number}{path.suffix}")) for number in itertools.count(1))
    number, aside = next((number, name) for number, name in numbered if not name.exists())
    with contextlib.suppress(FileNotFoundError):  # its merged model goes with it
        os.replace(path.with_name("merged.safetensors"), path.with_name(f"merged_{number}.safetensors"))
    os.replace(path, aside)
    log.warning("%s was of another configuration, and is kept as %s", os.path.relpath(path), aside.name)


def what_counts(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that tell two results apart: all but those that shape no number.

    Args:
        config: A resolved configuration.
    """
    settings = without_later(config)
    counts = {key: value for key, value in settings.items() if key not in _KEYS_WITHOUT_NUMBERS}
    lightning = {key: settings["lightning"].get(key) for key in _LIGHTNING_WITH_NUMBERS}
    plain: dict[str, Any] = to_plain({**counts, "lightning": lightning}, "config", nonfinite="null")
    return plain
