"""Writes docs/first_results.md: methods against scenarios on the embedded data.

`make first-results` runs it as `python -m benchmarks.first_results FOLDER OUT`.
"""

import sys
from pathlib import Path

from benchmarks.documents import machine, means_by_scenario, seeds, versions
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.names import method_position
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.scaling import all_chosen
from cl_bench.store import atomic

_PAGE = """# First results

Made by `make first-results` from the records of the sweep `multirun_configs/sweep/first_results.yaml`; nothing here is
typed by hand. {runs} runs, seeds {seeds}; on {machine} they took {training:.0f} s of training, {evaluation:.0f} s of
evaluation and {merging:.1f} s of merging (two runs at a time, one thread each).
Versions: {versions}.

Each seed has its own order of arrival, and all methods of a seed share it. Learning rates were chosen on a validation
share of the training images with other seeds: [learning_rates.md](learning_rates.md) says how, and what else was known
by then. λ is the published one: MagMax 0.5, TIES 0.55, the others 1.

## Accuracy after the last task

In percent, mean ± standard deviation over seeds. Over all test images and among all classes
(`accuracy.task_agnostic`); for `mini_eight`, whose data sets have classes of their own, the mean over data sets of the
accuracy among their own classes (`metrics.task_aware.average_accuracy`).

{accuracy}
## Forgetting

In points, `forgetting_max_minus_last` of the same matrix. Negative: accuracy on earlier tasks still grows.

{forgetting}
## Seconds of training

Of a whole stream.

{seconds}"""


def write(folder: Path, out: Path) -> None:
    """Writes the page from all result records below `folder`.

    Raises:
        UserError: There is no record, nobody chose the λ of one, or two of a cell differ in more than their seeds.
    """
    results = sorted(
        each_once(all_chosen(read_all(folder)), _cell), key=lambda result: method_position(_method(result))
    )
    trained = {result["fingerprint"]: result["seconds"]["training"] for result in results}  # once per stream
    page = _PAGE.format(
        runs=len(results),
        seeds=seeds(results),
        machine=machine(),
        training=sum(trained.values()),
        evaluation=sum(result["seconds"]["evaluation"] for result in results),
        merging=sum(result["seconds"]["merging"] for result in results),
        versions=versions(results),
        accuracy=means_by_scenario(results, "method", _method, lambda result: result["headline"]["value"]),
        forgetting=means_by_scenario(results, "method", _method, _forgetting),
        seconds=means_by_scenario(results, "method", _method, lambda result: result["seconds"]["training"] or None),
    )
    atomic.write_text(out, page)


def _method(result: Result) -> str:
    return result["config"]["method"]


def _cell(result: Result) -> tuple[str, str]:
    return _method(result), result["choices"]["scenario"]


def _forgetting(result: Result) -> float | None:
    kind = headline_kind(result)
    return result["metrics"][kind]["forgetting_max_minus_last"]


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
