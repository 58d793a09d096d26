"""Which runs are analyzed: of runs that differ only in seed or optimization, one is enough."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from cl_bench.analyses.source import Record, describe, kind


def has_all_parts(record: Record) -> bool:
    """Whether CMM has all the parts that it was released with; without them its task vectors hardly differ.

    Always true for other methods.
    """
    config = record["config"]
    released = config.get("published", {}).get("cmm", {})
    refines = config["trainer"].get("refinement", "") is not None or released.get("refinement", "") is None
    weighs = config["merger"].get("second_moments") is not False or released.get("second_moments") is False
    return refines and weighs


def representatives(records: Mapping[Path, Record], wants: Callable[[Record], bool]) -> list[Path]:
    """Picks the first run of each kind that an analysis wants: the one with the smallest seed, then by path.

    Only runs that were evaluated on test images count; the others choose settings.
    """
    first: dict[str, Path] = {}
    for path in sorted(records, key=lambda path: (records[path]["seed"], str(path))):
        if records[path]["split"] == "test" and wants(records[path]):
            first.setdefault(kind(describe(records[path])), path)
    return sorted(first.values())


def trained_otherwise(records: Mapping[Path, Record], path: Path) -> list[Path]:
    """Runs that the run at `path` stands for although they were trained with another optimization."""

    def optimization(record: Record) -> str:
        return json.dumps(record["config"].get("optim"), sort_keys=True)

    chosen = records[path]
    return [
        other
        for other, record in records.items()
        if record["split"] == chosen["split"]
        and kind(describe(record)) == kind(describe(chosen))
        and optimization(record) != optimization(chosen)
    ]
