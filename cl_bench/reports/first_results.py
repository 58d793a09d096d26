"""docs/first_results.md: methods against scenarios on the embedded data, mean and standard deviation over seeds.

Used by `make first-results` as `python -m cl_bench.reports.first_results FOLDER OUT`.
"""

import os
import platform
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cl_bench.store import atomic, read_result

Result = Mapping[str, Any]

_HEADER = """# First results

Made by `make first-results`, which runs the three sweeps `multirun_configs/sweep/first_results_*.yaml` and writes this
file from their records; nothing in it is typed by hand.

{runs} runs on {machine}: {training:.0f} s of training, {evaluation:.0f} s of evaluation, {merging:.0f} s of merging.
Each seed has its own order of arrival; all methods of a seed share it. Learning rates were chosen on a validation share
of the training images, by `make learning-rates` ([learning_rates.md](learning_rates.md)); the test images were used for
this report only. λ is the published one (MagMax 0.5, TIES 0.55, the others 1), TIES counts over the whole model.
Versions: {versions}.
"""


def write(folder: Path, out: Path) -> None:
    """Writes the page from all result records below `folder`."""
    results = [read_result(path) for path in sorted(folder.glob("**/result.json"))]
    # Runs that share a stream each report its training; it happened once.
    trained = {result["fingerprint"]: result["seconds"]["training"] for result in results}
    header = _HEADER.format(
        runs=len(results),
        machine=f"{os.cpu_count()} cores ({platform.machine()})",
        training=sum(trained.values()),
        evaluation=sum(result["seconds"]["evaluation"] for result in results),
        merging=sum(result["seconds"]["merging"] for result in results),
        versions=", ".join(f"{name} {number}" for name, number in sorted(results[0]["versions"].items())),
    )
    sections = [
        header,
        "## Accuracy after the last task, in percent\n",
        "Over all classes and all test images (`accuracy.task_agnostic`); for `mini_eight`, whose data sets have classes "
        "of their own,\nthe mean over data sets of the accuracy among their own classes "
        "(`metrics.task_aware.average_accuracy`).\nMean ± standard deviation over seeds.\n",
        _table(results, lambda result: result["headline"]["value"]),
        "## Forgetting, in points\n",
        "`forgetting_max_minus_last` of the same matrix: the best accuracy that a task ever had after it was learned "
        "(or before the\nlast task), minus the last one, as a mean over all tasks but the last. Negative: it still grows.\n",
        _table(results, _forgetting),
        "## Seconds of training per stream\n",
        _table(results, lambda result: result["seconds"]["training"] or None),
    ]
    atomic.write_text(out, "\n".join(sections))


def _forgetting(result: Result) -> float | None:
    kind = "task_aware" if "task_aware" in result["headline"]["name"] else "task_agnostic"
    return result["metrics"][kind]["forgetting_max_minus_last"]


def _table(results: Iterable[Result], value: Callable[[Result], float | None]) -> str:
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    methods: dict[str, None] = {}
    scenarios: dict[str, None] = {}
    for result in sorted(results, key=_position):
        method, scenario = result["config"]["method"], result["choices"]["scenario"]
        methods[method] = scenarios[scenario] = None
        if (number := value(result)) is not None:
            cells[method, scenario].append(number)
    lines = ["| method | " + " | ".join(scenarios) + " |", "| --- |" + " ---: |" * len(scenarios)]
    for method in methods:
        row = [_cell(cells[method, scenario]) for scenario in scenarios]
        if any(row):
            lines.append(f"| {method} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


_ORDER = ("zero_shot", "joint", "sequential_last", "sequential_magmax", "sequential_average")


def _position(result: Result) -> tuple[int, str, str]:
    method = result["config"]["method"]
    return _ORDER.index(method) if method in _ORDER else len(_ORDER), method, result["choices"]["scenario"]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
