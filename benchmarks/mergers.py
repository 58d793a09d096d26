"""Writes docs/mergers.md: what mergers there are, and what they make of the embedded data.

`make mergers` runs it as `python -m benchmarks.mergers FOLDER OUT`.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from benchmarks.documents import machine, mean, seeds, versions
from cl_bench.experiment import released
from cl_bench.mergers import BaseMerger, StackMerger
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.scaling import all_chosen, scaling_of
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

_CONFIGURATIONS = CONF / "merger"

_PAGE = """# Mergers

Made by `make mergers`; nothing here is typed by hand. The first table is read from the classes and from `conf/merger/`,
the second from the records of the sweep `multirun_configs/sweep/mergers.yaml`.

## All of them

*Needs*: what training must leave behind, beside the weights. *Memory*: what is kept while tasks arrive one by one,
beside θ₀ and one task's weights. It is a number of values per element of the model, or the weights of all tasks,
mapped from their files and read one parameter at a time.

{methods}
## On the embedded data

Accuracy after the last task over all test images and among all classes (`accuracy.task_agnostic`; where every task is a
data set with classes of its own, the scenario's headline), in percent, mean ± standard deviation over seeds {seeds},
each with its own order of arrival; {runs} runs, {machine}. Trained on four fifths of the training images with the
scenarios' settings. λ was chosen by each run among {grid}, on the other fifth; all other settings are the ones above,
and LiNeS' β is 0.5. Where the chosen λ, below, lies at an end of the grid (sums of many task vectors want smaller
ones), a better one may lie outside. Versions: {versions}.

{accuracies}
Chosen λ, mean ± standard deviation over seeds:

{scalings}"""


def write(folder: Path, out: Path) -> None:
    """Writes the page, with all result records below `folder`.

    Raises:
        UserError: There is no record, one has no list of λ, nobody chose from it, or two of a cell differ in more than
            their seeds.
    """
    results = each_once(all_chosen(read_all(folder)), lambda result: (_merger(result), _column(result)))
    _check_lists(results)
    page = _PAGE.format(
        methods=_methods(),
        runs=len(results),
        seeds=seeds(results),
        machine=machine(),
        grid=", ".join(sorted({f"{one['scaling']:g}" for result in results for one in result["scalings"]})),
        versions=versions(results),
        accuracies=_table(results, lambda result: result["headline"]["value"]),
        scalings=_table(results, scaling_of),
    )
    atomic.write_text(out, page)


def _check_lists(results: Sequence[Result]) -> None:
    for result in results:
        if not result["scalings"]:
            raise UserError(
                f"{result['path']} has one λ, and this page is of runs that chose theirs: "
                "merger.scaling=[0.2,0.4,0.6] scenario.validation_share=0.2, or another folder."
            )


def _methods() -> str:
    released.register()  # some settings follow the kind of scenario
    rows = []
    for path in sorted(_CONFIGURATIONS.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        settings = dict(OmegaConf.to_container(OmegaConf.load(path), resolve=True))  # as no scenario changes them
        settings.pop("defaults", None)
        module, _, class_name = settings.pop("_target_").rpartition(".")
        method: type[BaseMerger] = getattr(importlib.import_module(module), class_name)
        name = f"[{path.stem}](../{module.replace('.', '/')}/{path.stem}.py)"
        rows.append([name, _rule(method), _paper(method, text), _needs(method), _memory(method), _settings(settings)])
    header = ["`merger=`", "rule", "source", "needs", "memory", "settings"]
    return grid(header, rows).replace("---:", "---")  # words in all columns


def _rule(method: type[BaseMerger]) -> str:
    return " ".join((inspect.getdoc(method) or "").split("\n\n")[0].split()).replace("|", "\\|")


def _paper(method: type[BaseMerger], text: str) -> str:
    numbers = re.findall(r"arXiv\s+(\d{4}\.\d{5})", (method.__doc__ or "") + text)
    return ", ".join(f"[{number}](https://arxiv.org/abs/{number})" for number in dict.fromkeys(numbers))


def _needs(method: type[BaseMerger]) -> str:
    if method.kind == "around":
        return "the inner method's"
    return ", ".join(f"`{name}`" for name in sorted(method(scaling=1.0).requires))


def _memory(method: type[BaseMerger]) -> str:
    if method.kind == "around":
        return "all tasks" if getattr(method, "sees_tasks", False) else "the inner method's"
    if issubclass(method, StackMerger):
        return "all tasks"
    return str(len(method(scaling=1.0).state))


def _settings(settings: Mapping[str, Any]) -> str:
    def typed(value: Any) -> str:
        return "?" if value == "???" else yaml.safe_dump(value, default_flow_style=True).splitlines()[0]

    return ", ".join(f"`{name}={typed(value)}`" for name, value in settings.items())


def _table(results: Sequence[Result], value: Any) -> str:
    columns = sorted({_column(result) for result in results})
    rows = [
        [merger, *(mean([value(r) for r in results if (_merger(r), _column(r)) == (merger, c)]) for c in columns)]
        for merger in sorted({_merger(result) for result in results})
    ]
    return grid(["merger", *(f"{scenario}, {trainer}" for scenario, trainer in columns)], rows)


def _merger(result: Result) -> str:
    return result["choices"]["merger"]


def _column(result: Result) -> tuple[str, str]:
    return scenario_name(result), result["choices"]["trainer"]


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
