"""A short name for a configuration, the same on every machine."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cl_bench.store.plain import to_plain


def fingerprint(plain: Mapping[str, Any]) -> str:
    """Name a configuration by its content: the first 16 hex digits of the SHA-256 of its canonical JSON.

    The order of keys does not matter; everything else does, even 1 against 1.0 and true.

    Raises:
        ValueError: A value is not plain data, or is NaN or infinite; names its place.
    """
    canonical = json.dumps(to_plain(plain, "config", "refuse"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
