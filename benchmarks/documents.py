"""What the scripts that write `docs/` from records have in common."""

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence

from cl_bench.reports.records import Result
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.tables.formats.markdown import grid


def means_by_scenario(
    results: Sequence[Result], corner: str, row: Callable[[Result], str], value: Callable[[Result], float | None]
) -> str:
    """Writes a Markdown table with a row for each `row`, in order of appearance, and a column for each scenario.

    A cell that nobody ran stays empty, and a row without any value is left out.
    """
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for result in results:
        if (number := value(result)) is not None:
            cells[row(result), scenario_name(result)].append(number)
    rows = dict.fromkeys(name for name, _ in cells)
    scenarios = sorted({scenario for _, scenario in cells})
    return grid([corner, *scenarios], [[name, *(mean(cells[name, s]) for s in scenarios)] for name in rows])


def mean(values: Sequence[float]) -> str:
    """Writes mean ± the sample's standard deviation; nothing if there is no value."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def seeds(results: Sequence[Result]) -> str:
    """Lists the seeds of some records."""
    return ", ".join(map(str, sorted({result["seed"] for result in results})))


def versions(results: Sequence[Result]) -> str:
    """Lists the versions with which the first of some records was made."""
    return ", ".join(f"{name} {number}" for name, number in sorted(results[0]["versions"].items()))


def machine() -> str:
    """Says on what machine the script runs."""
    return f"{os.cpu_count()} cores ({platform.machine()})"
