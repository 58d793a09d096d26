"""Writes docs/trainers.md: every trainer on the embedded data, and how learning rates were chosen.

`make trainers` runs it as `python -m benchmarks.trainers FOLDER RATES OUT`.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.documents import machine, mean, seeds, versions
from cl_bench.reports.headline import headline_kind
from cl_bench.reports.names import trainer_position
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.scaling import all_chosen
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.store import atomic

_PAGE = """# Trainers

Made by `make trainers` from the records of the sweeps `multirun_configs/sweep/trainers.yaml` and
`trainer_learning_rates.yaml`; nothing here is typed by hand. {runs} runs, seeds {seeds}, each with its own order of
arrival; {machine}, two runs at a time, one thread each. Versions: {versions}.

Accuracy after the last task, in percent, is over all test images and among all classes (`accuracy.task_agnostic`; where
every task is a data set with classes of its own, `metrics.task_aware.average_accuracy`, the mean over data sets).
Forgetting, in points, is `forgetting_max_minus_last` of the same matrix. Both are means ± standard deviations over
seeds.

- *Own*: the last task's weights, unmerged.
- *Merged*: all tasks' weights, merged by MagMax with the published λ = 0.5. `cmm` starts each task from the merged
  weights, so its own rule merges them, with the published α = 0.4.
- *Seconds*: training of a whole stream, with Fisher information and refinement. They vary where the machine had other
  work; [bench_train.md](bench_train.md) compares steps side by side.
- *MiB*: the largest resident set of the process while training. For a model this small, most of it is PyTorch.

Settings are the published ones of `conf/trainer/`. None was chosen for these data but c and ξ of `si`, which nobody has
published for CLIP. EWC's λ = 1e6 and LwF's 0.3 belong to ViT-B/16 with a smaller learning rate. So does CMM's
refinement: at 1e-7 it changes next to nothing here. Learning rates were chosen, too: trainers of all weights share the
scenarios' ({shared}); the others' were chosen on validation images, below.

{table}
## Learning rates

Accuracy of the merged model on a fifth of the *training* images, set aside, seeds {rate_seeds}. The rule: the rate with
the best mean over both scenarios; `cmm` takes that of `tangent`.

{rates}"""


def write(folder: Path, rates: Path, out: Path) -> None:
    """Writes the page from the result records below `folder`, and below `rates` those of the learning rates.

    Raises:
        UserError: There is no record, nobody chose the λ of one, or two of a cell differ in more than their seeds.
    """
    results = each_once(all_chosen(read_all(folder)), _key)
    tried = each_once(all_chosen(read_all(rates)), lambda result: (_key(result), _rate(result)))
    page = _PAGE.format(
        runs=len(results),
        seeds=seeds(results),
        machine=machine(),
        versions=versions(results),
        shared=", ".join(f"{rate:g}" for rate in sorted({_rate(r) for r in results if _key(r)[0] == "sequential"})),
        table=_trainers(results),
        rate_seeds=seeds(tried),
        rates=_rates(tried),
    )
    atomic.write_text(out, page)


def _trainers(results: Sequence[Result]) -> str:
    ordered = sorted(results, key=lambda result: trainer_position(result["choices"]["trainer"]))
    scenarios = sorted({scenario_name(result) for result in results})
    header = ["trainer", *(f"{scenario}: {name}" for scenario in scenarios for name in _COLUMNS)]
    rows = [
        [
            trainer,
            *(
                mean([number for r in ordered if _key(r) == (trainer, scenario) and (number := value(r)) is not None])
                for scenario in scenarios
                for value in _COLUMNS.values()
            ),
        ]
        for trainer in dict.fromkeys(result["choices"]["trainer"] for result in ordered)
    ]
    return grid(header, rows)


def _rates(tried: Sequence[Result]) -> str:
    scenarios = sorted({scenario_name(result) for result in tried})
    rows = []
    for trainer, rate in sorted({(result["choices"]["trainer"], _rate(result)) for result in tried}):
        values = [
            [r["headline"]["value"] for r in tried if (*_key(r), _rate(r)) == (trainer, scenario, rate)]
            for scenario in scenarios
        ]
        overall = statistics.mean(statistics.mean(numbers) for numbers in values if numbers)
        rows.append([trainer, f"{rate:g}", *map(mean, values), f"{overall:.1f}"])
    return grid(["trainer", "learning rate", *scenarios, "mean"], rows)


def _last_task(result: Result) -> Result:
    """Finds the part of a record about the last task's weights, which it has once where they are the merged ones."""
    return result["finetuned"] or result


def _merged(result: Result) -> Result | None:
    return result if result["finetuned"] else None


def _accuracy(part: Callable[[Result], Result | None]) -> Callable[[Result], float | None]:
    return lambda result: found["accuracy"][headline_kind(result)] if (found := part(result)) else None


def _forgetting(part: Callable[[Result], Result | None]) -> Callable[[Result], float | None]:
    return lambda result: (
        found["metrics"][headline_kind(result)]["forgetting_max_minus_last"] if (found := part(result)) else None
    )


_COLUMNS: dict[str, Callable[[Result], float | None]] = {
    "own accuracy": _accuracy(_last_task),
    "own forgetting": _forgetting(_last_task),
    "merged accuracy": _accuracy(_merged),
    "merged forgetting": _forgetting(_merged),
    "seconds": lambda result: result["seconds"]["training"] or None,
    "MiB": lambda result: result["peak_memory_mib"]["training"],
}


def _key(result: Result) -> tuple[str, str]:
    return result["choices"]["trainer"], scenario_name(result)


def _rate(result: Result) -> float:
    return result["config"]["optim"]["lr"]


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
