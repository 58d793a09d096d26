"""What figures are made from: the records of runs, and the analyses that lie beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.analyses.source import kind
from cl_bench.errors import UserError
from cl_bench.reports.markdown import Result, read_all
from cl_bench.store import record_shape as shape

Analysis = Mapping[str, Any]
_NEEDS = (
    *("choices.scenario", "choices.trainer", "choices.merger", "config.trainer", "config.merger", "split", "seed"),
    *(
        "headline.name",
        "headline.value",
        "matrix.KIND.*",
        "matrix.task_agnostic.*",
        "scalings",
        "training",
        "fingerprint",
    ),
)


@dataclass(frozen=True)
class Records:
    """All of a folder.

    Attributes:
        results: Records of runs that were evaluated on test images.
        analyses: Of such runs.
    """

    results: Sequence[Result]
    analyses: Sequence[Analysis]

    @classmethod
    def below(cls, folder: Path) -> "Records":
        """Reads them.

        Raises:
            UserError: There is no record, or one is damaged.
        """
        results = [result for result in read_all(folder, _NEEDS) if result["split"] == "test"]
        return cls(results, [_read(path) for path in sorted(folder.glob("**/analyses/*.json"))])

    @property
    def scenarios(self) -> list[str]:
        """Their names, sorted."""
        return sorted({result["choices"]["scenario"] for result in self.results})

    def analyses_of(self, name: str) -> dict[str, list[Analysis]]:
        """By scenario, those of one name: the first of each kind of run."""
        first: dict[str, Analysis] = {}
        for analysis in self.analyses:
            if analysis["analysis"] == name:
                first.setdefault(kind(analysis["source"]), analysis)
        found: dict[str, list[Analysis]] = {}
        for analysis in first.values():
            found.setdefault(analysis["source"]["choices"]["scenario"], []).append(analysis)
        return dict(sorted(found.items()))


def _read(path: Path) -> Analysis:
    try:
        analysis = json.loads(path.read_text(encoding="utf-8"))
        if analysis["schema"] == 1:
            choices = analysis["source"]["choices"]
            shape.check({"choices": choices}, path, ("choices.scenario", "choices.trainer", "choices.merger"))
            kind(analysis["source"])
            return {**analysis, "path": str(path)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and run python -m cl_bench.analyses again.") from error
    raise UserError(f"{path} is of another version of cl_bench. Delete it and run python -m cl_bench.analyses again.")
