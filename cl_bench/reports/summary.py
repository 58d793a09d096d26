"""The result of one run in a small table on the terminal."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cl_bench.evaluation.metrics import METRICS
from cl_bench.reports.headline import headline_kind, is_null
from cl_bench.reports.names import is_simplecil
from cl_bench.reports.scaling import HOW_TO_CHOOSE, is_unchosen
from cl_bench.runtime.commands import typed

_WIDTH = 100  # where the output is no terminal
_WIDEST_NAME = 32  # letters in one line; import paths may be longer, and would leave no room for numbers
_NARROWEST_NAME = 14  # where the terminal is narrow

_METRICS = {metric.title: name for name, metric in METRICS.items() if metric.in_summary}


def show(result: Mapping[str, Any], folder: Path) -> None:
    """Prints a row each for the zero-shot, fine-tuned and merged model, where time went, and where the rest lies.

    Metrics of the accuracy matrix are those of the headline's kind of accuracy.
    """
    console = Console(width=None if os.isatty(1) else _WIDTH, highlight=False)
    console.print(_fitting(result, console))
    for kind, reason in result["left_out"].items():
        console.print(f"{kind.replace('_', '-')} is left out: {reason}", soft_wrap=True, markup=False)
    if is_null(result):
        other = headline_kind(result).replace("_", "-")
        console.print(f"{', '.join(_METRICS)} are of {other} accuracy here", soft_wrap=True)
    for note in result.get("notes", ()):
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    if kept := result.get("retention"):
        console.print(_retention(kept), soft_wrap=True, markup=False)
    if any(chosen := (result.get("per_task") or {}).get("chosen", ())):
        values = ", ".join("none" if value is None else f"{value:g}" for value in chosen)
        console.print(f"chosen on validation images for each task: {values}", soft_wrap=True)
    if is_unchosen(result):
        out = "No λ was chosen, so figures and the papers' tables leave this run out"
        rows = f"{typed('report')} table FOLDER has a row for each λ"
        console.print(f"{out}. {HOW_TO_CHOOSE}; {rows}.", soft_wrap=True, markup=False)
    elif result["scalings"] and result["training"]:
        console.print(_choice(result["scalings"]), soft_wrap=True)
    console.print(_effort(result))
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    saved = ", merged.safetensors" if result.get("merged_model") else ""
    console.print(f"written: {here}/{{result.json, matrix_*.png{saved}}}", soft_wrap=True)


def _fitting(result: Mapping[str, Any], console: Console) -> Table:
    """The table in which as little as possible is broken into lines: rich would cut words where it is too wide."""
    endless = console.options.update(max_width=10**4)
    widths = range(_WIDEST_NAME, _NARROWEST_NAME - 1, -1)
    for breaks, widest in (("", _WIDEST_NAME), (" ", _WIDEST_NAME), *((" -", width) for width in widths)):
        table = _table(result, breaks, widest)
        if console.measure(table, options=endless).maximum <= console.width:
            break
    return table


def _table(result: Mapping[str, Any], breaks: str, widest: int) -> Table:
    """The table of a run.

    Args:
        result: What `result.json` holds.
        breaks: The letters after which a header goes on in the next line.
        widest: Letters of a model's name in one line.
    """
    choices = result["choices"]
    title = f"{result['scenario']['name']}: accuracy on {result['split']} images in percent, seed {result['seed']}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in ("task-agnostic", "task-aware", *_METRICS):
        header = "".join(letter + "\n" * (letter in breaks) for letter in name).replace(" \n", "\n")
        table.add_column(header, justify="right")
    zero_shot = {kind: values and values[0] for kind, values in result["accuracy_after_task"].items()}
    kind = headline_kind(result)
    add_row = partial(_add_row, table, widest)
    add_row("zero-shot", zero_shot, {})
    if result["finetuned"] and not result.get("experts"):  # which are evaluated on their own tasks alone
        add_row(f"{choices.get('trainer', 'fine-tuned')}", **_last(result["finetuned"], kind))
    merged = f"{choices.get('trainer', '')} + {choices.get('merger', 'merged')}"
    if is_simplecil(choices):
        merged = "SimpleCIL"
    if result["training"] and not result["scalings"]:
        add_row(merged, **_last(result, kind))
    for one in result["scalings"] or ():
        name = f"{merged}, λ = {one['scaling']:g}{' *' if one['chosen'] else ''}"
        add_row(name, **_last(one, kind))
    return table


def _last(record: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"accuracy": record["accuracy"], "metrics": record["metrics"][kind]}


def _add_row(table: Table, widest: int, name: str, accuracy: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    values = [
        accuracy["task_agnostic"],
        accuracy["task_aware"],
        *(metrics.get(key) for key in _METRICS.values()),
    ]
    nothing = "–" if all(value is None for value in values) else ""
    table.add_row(textwrap.fill(name, widest), *(nothing if value is None else f"{value:.2f}" for value in values))


def _choice(scalings: Sequence[Mapping[str, Any]]) -> str:
    best = next(one for one in scalings if one["chosen"])
    equals = [f"λ = {one['scaling']:g}" for one in scalings if one["validation"] == best["validation"]][1:]
    also = f", as {'has' if len(equals) == 1 else 'have'} {' and '.join(equals)}: the first of them" if equals else ""
    return f"* chosen on validation images, where it has {best['validation']:.2f}{also}; this is what is reported"


def _retention(kept: Mapping[str, Any]) -> str:
    change = f"{kept['change']:+.2f} against zero-shot"
    return f"retention: {kept['last']:.2f} on {', '.join(kept['datasets'])}, which were never trained on ({change})"


def _effort(result: Mapping[str, Any]) -> str:
    seconds, training = result["seconds"], result["training"]
    reused = sum(record["reused"] for record in training)
    parts = [f"{reused} of {len(training)} tasks reused"] if training else []
    parts.append(f"training {seconds['training']:.1f} s{' when it was done' if reused else ''}")
    parts.append(f"merging {seconds['merging']:.2f} s")
    parts.append(f"evaluation {seconds['evaluation']:.1f} s")
    return ", ".join(parts)
