"""Writes docs/mergers.md: what they make of the embedded data, how they compare, and what mergers there are.

`make mergers` runs it as `python -m benchmarks.mergers FOLDER OUT`.
"""

import importlib
import inspect
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from benchmarks.comparison import LEVEL, Cell, Comparison, compared, mean_ranks
from benchmarks.documents import machine, mean, seeds, versions
from cl_bench.experiment import released
from cl_bench.mergers import BaseMerger, StackMerger
from cl_bench.reports.kinds import kind_of
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

{findings}

Made by `make mergers`; nothing here is typed by hand. The tables on the embedded data are read from the records of
the sweep `multirun_configs/sweep/mergers.yaml`, the last one from the classes and from `conf/merger/`.

## On the embedded data

{runs} runs, seeds {seeds}, each with its own order of arrival; {machine}. Accuracy, in percent, is the scenario's
headline after the last task: over all test images and among all classes (`accuracy.task_agnostic`), or for
`mini_eight` the mean over data sets, among their own classes (`metrics.task_aware.average_accuracy`). Trained on four
fifths of the training images with the scenarios' settings. λ was chosen by each run among {grid}, on the other fifth;
all other settings are the defaults below, and LiNeS' β is 0.5. A rule that goes around another is named with it.
`weight_weaving` needs no λ. Tasks of `perturb_and_merge` start from the merged weights, with λ = 1, so it is compared
with rules on other weights, and it has no independent ones. Versions: {versions}.

### Against `average` and `magmax`

A cell is a scenario, a trainer and a seed. *Difference*: mean over cells of the rule's accuracy minus the
reference's, in points. *r*: matched-pairs rank-biserial correlation, from -1 (worse in all cells) to 1 (better in
all). *p*: Wilcoxon's signed-rank test, two-sided, with Holm's correction over all rules; **bold** where it is below
{level:g}. The cells of one scenario share their data, so p is smaller than it would be over as many independent data
sets. *Mean rank*: among the rules with a run in every cell, 1 is best. *Seconds*: median time of merging, with all λ;
it varies where the machine had other work, and [bench_merge.md](bench_merge.md) compares rules side by side. *MiB*:
the largest resident set while merging. For a model this small, most of it is PyTorch.

{comparison}
### Accuracy

Mean ± standard deviation over seeds.

{accuracies}
### Chosen λ

Mean ± standard deviation over seeds. Where it lies at an end of the grid, a better one may lie outside.

{scalings}{apart}
## All of them

*Needs*: what training must leave behind, beside the weights. *Memory*: what is kept while tasks arrive one by one,
beside θ₀ and one task's weights. It is a number of values per element of the model, or the weights of all tasks,
mapped from their files and read one parameter at a time. *Settings*: the defaults; `?` has none.

{methods}"""

_APART = """
## Rules that compete with no other

A model for each task answers only where the task is known, and AdaMerging learns on the unlabelled test images.
Accuracy over all test images among the classes of each image's task (`accuracy.task_aware`; for `mini_eight` the mean
over data sets, as above), with `average` and `magmax` of the same runs beside it.

{table}"""

_REFERENCES = ("average", "magmax")
_ONE_SCALING = {"weight_weaving", "perturb_and_merge"}  # they find λ, or need one while they train


def write(folder: Path, out: Path) -> None:
    """Writes the page, with all result records below `folder`.

    Raises:
        UserError: There is no record, one has no list of λ, nobody chose from it, or two of a cell differ in more than
            their seeds.
    """
    results = each_once(all_chosen(read_all(folder)), lambda result: (_merger(result), _column(result)))
    together = [result for result in results if kind_of(result) is None]
    _check_lists(together)
    values = _values(together, lambda result: result["headline"]["value"])
    against = {name: compared(values, name) for name in _REFERENCES if name in values}
    page = _PAGE.format(
        findings=" ".join(_finding(name, found) for name, found in against.items())
        or "No rule was run beside another.",
        methods=_methods(),
        runs=len(results),
        seeds=seeds(results),
        machine=machine(),
        level=LEVEL,
        grid=", ".join(
            f"{scaling:g}" for scaling in sorted({o["scaling"] for r in together for o in r["scalings"] or ()})
        ),
        versions=versions(results),
        comparison=_comparison(together, against, mean_ranks(values)),
        accuracies=_table(together, lambda result: result["headline"]["value"]),
        scalings=_table([r for r in together if r["scalings"]], scaling_of),
        apart=_apart(results),
    )
    atomic.write_text(out, page)


def _grid(results: Sequence[Result]) -> list[float]:
    return sorted({one["scaling"] for result in results for one in result["scalings"] or ()})


def _values(results: Sequence[Result], value: Callable[[Result], float]) -> dict[str, dict[Cell, float]]:
    values: dict[str, dict[Cell, float]] = defaultdict(dict)
    for result in results:
        values[_merger(result)][(*_column(result), result["seed"])] = value(result)
    return values


def _finding(reference: str, found: Mapping[str, Comparison]) -> str:
    """Says in words which rules differ from the reference."""
    better = _named({rule: one for rule, one in found.items() if one.holds and one.effect > 0})
    worse = _named({rule: one for rule, one in found.items() if one.holds and one.effect < 0})
    undecided = sum(not one.holds for one in found.values())
    return (
        f"Against `{reference}`, better after Holm's correction are {better or 'no rules'}; worse are "
        f"{worse or 'no rules'}; of the other {undecided} nothing can be said."
    )


def _named(rules: Mapping[str, Comparison]) -> str:
    ordered = sorted(rules.items(), key=lambda item: -abs(item[1].difference))
    return ", ".join(f"`{rule}` ({one.difference:+.1f} points)" for rule, one in ordered)


def _comparison(
    results: Sequence[Result], against: Mapping[str, Mapping[str, Comparison]], ranks: Mapping[str, float]
) -> str:
    of_rule = {rule: [r for r in results if _merger(r) == rule] for rule in sorted({_merger(r) for r in results})}
    rows = []
    for rule in sorted(of_rule, key=lambda rule: (ranks.get(rule, float("inf")), rule)):
        cells = [cell for name in against for cell in _cells(against[name].get(rule))]
        seconds = statistics.median(result["seconds"]["merging"] for result in of_rule[rule])
        peaks = [peak for result in of_rule[rule] if (peak := result["peak_memory_mib"].get("merging"))]
        mib = f"{statistics.median(peaks):.0f}" if peaks else ""
        rank = f"{ranks[rule]:.1f}" if rule in ranks else ""
        rows.append([rule, str(len(of_rule[rule])), *cells, rank, f"{seconds:.2f}", mib])
    columns = [f"{name}: {column}" for name in against for column in ("difference", "r", "p")]
    return grid(["merger", "cells", *columns, "mean rank", "seconds", "MiB"], rows)


def _cells(one: Comparison | None) -> list[str]:
    if one is None:
        return ["", "", ""]
    p = f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001"
    return [f"{one.difference:+.1f}", f"{one.effect:+.2f}", f"**{p}**" if one.holds else p]


def _apart(results: Sequence[Result]) -> str:
    names = {_merger(result) for result in results if kind_of(result)}
    beside = [result for result in results if _merger(result) in names.union(_REFERENCES)]
    return _APART.format(table=_table(beside, _task_aware)) if names else ""


def _task_aware(result: Result) -> float:
    headline = result["headline"]
    value: float = headline["value"] if "task_aware" in headline["name"] else result["accuracy"]["task_aware"]
    return value


def _check_lists(results: Sequence[Result]) -> None:
    for result in results:
        if not result["scalings"] and result["choices"]["merger"] not in _ONE_SCALING:
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
    """The rule's name, with the rule that it goes around."""
    name, inner = result["choices"]["merger"], result["choices"].get("merger@merger.of")
    return f"{name} of {inner}" if inner else name


def _column(result: Result) -> tuple[str, str]:
    return scenario_name(result), result["choices"]["trainer"]


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
