"""What figures are drawn from: the records of runs, and the analyses that lie beside them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.analyses.source import SCHEMA, describe, kind
from cl_bench.reports.headline import with_headline
from cl_bench.reports.kinds import kind_of
from cl_bench.reports.names import method_label
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.settings import differing
from cl_bench.reports.settings import typed as typed_settings
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError
from cl_bench.store import read_result
from cl_bench.store import record_shape as shape

Analysis: TypeAlias = Mapping[str, Any]

_SCENARIO = "name_among_others"  # the key of the scenario's name among all records
_NEEDS = (
    *("choices.trainer", "choices.merger", "config.trainer", "config.merger", "split", "seed"),
    *("scenario.kind", "tasks.*.name"),
    *("headline.name", "headline.value", "matrix.KIND.*", "scalings", "training"),
    "fingerprint",
)


@dataclass(frozen=True)
class Records:
    """All records and analyses of a folder.

    Attributes:
        results: Records of runs that were evaluated on test images, and have a headline.
        analyses: What `cl_bench.analyses` measured of runs, each with its file under `path`.
        left_out: A line about runs without a headline; None where all have one.
    """

    results: Sequence[Result]
    analyses: Sequence[Analysis]
    left_out: str | None = None

    @classmethod
    def below(cls, folder: Path) -> "Records":
        """Reads all below a folder.

        Raises:
            UserError: There is no record, one is damaged, or an analysis belongs to another run than the record beside
                it.
        """
        results = read_all(folder, _NEEDS)
        names = {Path(result["path"]): scenario_name(result) for result in results}
        analyses = [
            {**_read(path), _SCENARIO: names[path.parents[1] / "result.json"]}
            for path in sorted(folder.glob("**/analyses/*.json"))
        ]
        shown, left_out = with_headline(result for result in results if result["split"] == "test")
        return cls(shown, analyses, left_out)

    @property
    def scenarios(self) -> list[str]:
        """The names of all scenarios, sorted."""
        return sorted({scenario_name(result) for result in self.results})

    def analyses_of(self, name: str) -> dict[str, list[Analysis]]:
        """Finds the analyses of one name by scenario: the first for each kind of run."""
        first: dict[str, Analysis] = {}
        for analysis in self.analyses:
            if analysis["analysis"] == name:
                first.setdefault(kind(analysis["source"]), analysis)
        found: dict[str, list[Analysis]] = {}
        for analysis in first.values():
            found.setdefault(_scenario(analysis), []).append(analysis)
        return dict(sorted(found.items()))


def first_of_each(results: Sequence[Result], separator: str) -> dict[str, Result]:
    """Finds the run of the smallest seed for each method and, where they differ, its settings.

    Returns:
        By what the run is called: the method, what sets it apart from all others, and its settings.
    """
    first: dict[str, Result] = {}
    in_order = sorted(results, key=lambda result: result["seed"])
    for result, settings in zip(in_order, differing(in_order, _method), strict=True):
        flag = f"({special.flag})" if (special := kind_of(result)) else ""
        first.setdefault(separator.join(filter(None, (_method(result), flag, typed_settings(settings)))), result)
    return first


def _method(result: Result) -> str:
    return method_label(describe(result))


def _scenario(analysis: Analysis) -> str:
    name: str = analysis.get(_SCENARIO, analysis["source"]["scenario"]["name"])
    return name


def _read(path: Path) -> Analysis:
    try:
        analysis = json.loads(path.read_text(encoding="utf-8"))
        schema, source = analysis["schema"], analysis["source"]
        if schema == SCHEMA:
            named = {"choices": source["choices"], "scenario": source["scenario"]}
            shape.check(named, path, ("choices.trainer", "choices.merger", "scenario.name", "scenario.kind"))
            kind(source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_usable(path, f"damaged ({error})") from error
    if schema != SCHEMA:
        raise _not_usable(path, "of another version of cl_bench")
    if source != describe(read_result(path.parents[1] / "result.json")):
        raise _not_usable(path, "of another run than the record beside it, which has been made anew since")
    return {**analysis, "path": str(path)}


def _not_usable(path: Path, problem: str) -> UserError:
    command = f"{typed('analyze')} {shlex.quote(str(path.parents[1]))}"
    return UserError(f"{path} is {problem}. Delete it and run {command}")
