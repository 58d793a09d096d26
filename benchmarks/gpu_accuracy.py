"""Writes what computing faster costs in accuracy into docs/bench_gpu.md, from records of runs on a GPU.

`make bench-gpu-accuracy` runs it as `python -m benchmarks.gpu_accuracy FOLDER OUT`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.documents import mean, means_by_scenario, seeds, versions
from benchmarks.gpu_models import WAYS
from benchmarks.gpu_page import write_accuracy
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.runtime.errors import UserError

_REFERENCE = "float32"

_TEXT = """
Made by `make bench-gpu-accuracy` from the records of the sweep `multirun_configs/sweep/gpu_accuracy.yaml`, on {device}.
{runs} runs, seeds {seeds}, each with its own order of arrival. Versions: {versions}.

Accuracy after the last task, in percent, is `accuracy.task_agnostic` of the merged model (MagMax, λ = 0.5):
mean ± standard deviation over seeds.

{accuracy}
The difference to float32 is taken seed by seed, in points; so the order of arrival does not enter it.

{differences}"""


def write(folder: Path, out: Path) -> None:
    """Writes the second half of the page from all result records below `folder`.

    Raises:
        UserError: There is no record, one was not made on a GPU, a seed has no record in float32, or two of a way and
            seed differ in more than that.
    """
    results = sorted(each_once(read_all(folder), _cell), key=lambda result: [*WAYS].index(_way(result)))
    kinds = {result["devices"]["kind"] for result in results}
    if any(kind.startswith("cpu ") for kind in kinds):
        raise UserError(f"{folder} has results of a CPU, where nothing is to be compared: delete them.")
    text = _TEXT.format(
        device=" and ".join(sorted(kinds)),
        runs=len(results),
        seeds=seeds(results),
        versions=versions(results),
        accuracy=means_by_scenario(results, "computed in", _way, lambda result: result["headline"]["value"]),
        differences=_differences(results),
    )
    write_accuracy(out, text)


def _differences(results: Sequence[Result]) -> str:
    """A row for each way: the differences of its results to those in float32 with the same seed, by scenario."""
    found = {(*_cell(result), result["seed"]): result["headline"]["value"] for result in results}
    scenarios = sorted({scenario for _, scenario, _ in found})
    rows = []
    for way in dict.fromkeys(way for way, _, _ in found if way != _REFERENCE):
        cells = []
        for scenario in scenarios:
            own = {seed: value for (its, at, seed), value in found.items() if (its, at) == (way, scenario)}
            if lacking := sorted(seed for seed in own if (_REFERENCE, scenario, seed) not in found):
                raise UserError(f"{scenario}: no result in float32 with seed {lacking[0]}; run the sweep to its end.")
            cells.append(mean([value - found[_REFERENCE, scenario, seed] for seed, value in own.items()]))
        rows.append([way, *cells])
    return grid(["computed in", *scenarios], rows)


def _way(result: Result) -> str:
    """The way of computing that a result's settings are."""
    lightning = result["config"]["lightning"]
    for way, settings in WAYS.items():
        usual = {"precision": "32-true", "matmul_precision": "highest", "compile": False}
        if all(lightning[name] == value for name, value in (usual | dict(settings)).items()):
            return way
    raise UserError(f"lightning={lightning} is none of the ways that are compared: {', '.join(WAYS)}.")


def _cell(result: Result) -> tuple[str, str]:
    return _way(result), result["choices"]["scenario"]


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
