"""`python -m cl_bench.reports compare A B`: two sets of runs, pair by pair."""

import argparse
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cl_bench.reports.comparison import Comparison, changes, compared
from cl_bench.reports.headline import as_answered
from cl_bench.reports.records import IN_TABLES, read_all
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.scaling import chosen_only, scaling_of
from cl_bench.reports.scenario_names import name_scenarios
from cl_bench.reports.settings import differing, typed
from cl_bench.runtime import tilde
from cl_bench.runtime.errors import UserError

_WIDTH = 120  # where the output is no terminal


def main(arguments: Sequence[str], program: str) -> None:
    """Prints a table of differences between two sets of runs.

    Raises:
        UserError: A folder has no records, or two that contradict each other; there is no pair.
    """
    parser = argparse.ArgumentParser(prog=program, description="Two sets of runs, pair by pair, with a paired t-test.")
    parser.add_argument("a", type=tilde.path, help="folder of the runs to compare with")
    parser.add_argument("b", type=tilde.path, help="folder of the runs that are compared")
    given = parser.parse_args(arguments)
    read = [read_all(folder, IN_TABLES) for folder in (given.a, given.b)]
    together = name_scenarios([*read[0], *read[1]])
    (a, _), (b, _) = chosen_only(together[: len(read[0])]), chosen_only(together[len(read[0]) :])
    left_out = chosen_only(together)[1]
    if left_out and not (a and b):
        raise UserError(f"There is nothing to compare. {left_out}")
    runs = [[RecordedRun.of(as_answered(result)) for result in side] for side in (a, b)]
    found, unpaired = compared(*runs)
    console = Console(width=None if os.isatty(1) else _WIDTH, highlight=False)
    console.print(_table(found))
    console.print(*_remarks(found, unpaired), *filter(None, [left_out]), sep="\n", soft_wrap=True, markup=False)


def _table(found: Sequence[Comparison]) -> Table:
    table = Table(title="Accuracy in percent; B − A in points, with its 95 % interval", title_justify="left")
    table.add_column("method", overflow="fold")
    table.add_column("scenario", overflow="fold")
    table.add_column("λ", no_wrap=True)
    for name in ("n", "A", "B", "B − A", "95 %", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        interval, p = one.interval(), one.p()
        table.add_row(
            escape(one.method),
            escape(one.scenario),
            " → ".join(_scalings(runs) for runs in zip(*one.pairs, strict=True)),
            str(len(one.a)),
            *(_spread(values) for values in (one.a, one.b)),
            _spread(one.differences, sign="+"),
            "" if interval is None else f"{interval[0]:+.2f} … {interval[1]:+.2f}",
            "" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001",
        )
    return table


def _scalings(runs: Iterable[RecordedRun]) -> str:
    """The λ of one side; a star where its runs chose them."""
    runs = list(runs)
    values = sorted({value for run in runs if (value := scaling_of(run.result)) is not None})
    few = values if len(values) < 3 else [values[0], values[-1]]
    chosen = " *" if values and any(run.result.get("scalings") for run in runs) else ""
    return (", " if few == values else " to ").join(f"{value:g}" for value in few) + chosen if values else "none"


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.2f}{deviation}"


def _remarks(found: Sequence[Comparison], unpaired: Sequence[RecordedRun]) -> Iterator[str]:
    tests = sum(one.p() is not None for one in found)
    if tests:
        yield "p: paired t-test over seeds, two-sided" + (f", not corrected for {tests} tests" if tests > 1 else "")
    if any(len(one.a) < 2 for one in found):
        yield "n = 1: a single pair says nothing of chance, so there is neither interval nor p"
    if any(len(one.a) > 1 and one.p() is None for one in found):
        yield "where all differences are the same, there is neither interval nor p"
    if any(run.result.get("scalings") for one in found for pair in one.pairs for run in pair):
        yield "*: each run chose its λ on validation images"
    for one in found:
        yield from _means_over_settings(one)
    for name, values in changes(pair for one in found for pair in one.pairs).items():
        yield f"{name}: " + (" → ".join(map(str, values[0])) if len(values) == 1 else "different in each pair")
    for run in unpaired:
        yield f"without a partner: {run.place} ({run.scenario})"


def _means_over_settings(one: Comparison) -> Iterator[str]:
    """Says where the seeds of one side had several settings: the pairs hide it where the other side had the same."""
    for side, runs in zip("AB", zip(*one.pairs, strict=True), strict=True):
        settings = differing([run.result for run in runs], lambda result: None)
        if len(different := sorted(set(map(typed, settings)))) > 1:
            yield f"{side}: {one.method} on {one.scenario} is a mean over {' and '.join(different)}"
