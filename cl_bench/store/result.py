"""The record of a run, ``result.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

SCHEMA = 3
"""2: in records of schema 1, the order of tied classes could decide numbers. 3: records say what was measured
(`scenario`); before, runs on different images could look the same."""


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result record with its schema version; NaN becomes null.

    Raises:
        ValueError: ``result`` is not plain data; names the place.
        UserError: The disk is full.
    """
    atomic.write_json(path, {"schema": SCHEMA, **result})


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def read_result(path: Path) -> dict[str, Any]:
    """Read a result record.

    Raises:
        UserError: It is missing or damaged, or its schema is not that of this version.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError as error:
        raise UserError(f"There is no result record {path}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}). Run the experiment again to write it anew.") from error
    if not isinstance(result, dict):
        raise UserError(f"{path} is no result record.")
    if result.get("schema") != SCHEMA:
        raise UserError(
            f"{path} has the schema version {result.get('schema')}; this version of cl_bench reads {SCHEMA}. "
            "Run the experiment again to write it anew."
        )
    return result
