"""What becomes of a result that lies where another one is to be written: it is not lost without a word."""

import contextlib
import itertools
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.launching.sweep import what_counts

log = logging.getLogger(__name__)


def set_aside(path: Path, config: Mapping[str, Any]) -> None:
    """Renames the record that lies at `path` where it is of another configuration, and says so.

    The same configuration run again replaces its record, and so does any run a file that is no record.

    Args:
        path: `result.json` of a run's folder, which need not be there.
        config: Of the record that will be written, resolved.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, TypeError, KeyError):
        return
    with contextlib.suppress(AttributeError, KeyError):  # of another version, whose configurations differ in shape
        if what_counts(found) == what_counts(config):
            return
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    os.replace(path, aside)
    log.warning("%s was of another configuration, and is kept as %s", os.path.relpath(path), aside.name)
