"""Two sets of runs, pair by pair: `python -m cl_bench.reports compare A B`.

A pair has its images, kind and number of tasks, order of arrival and seed in common, and its method, too, unless each
set has but one: so two methods are compared, or all methods before and after a change. Differences are B − A of the
headline accuracy, in points.

The test is Student's paired t over seeds. With three or five seeds a test of ranks can never be significant (the
smallest two-sided p of Wilcoxon's is 0.25 and 0.06), while t makes use of how large differences are, and gives the
interval; in turn it assumes that they are about normal.
"""

import argparse
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cl_bench.reports import scenarios
from cl_bench.reports.layouts import place
from cl_bench.reports.markdown import IN_TABLES, read_all
from cl_bench.reports.methods import position, readable
from cl_bench.reports.runs import Run, differences, distinct
from cl_bench.reports.scaling import chosen_only, scaling_of
from cl_bench.reports.settings import differing, typed
from cl_bench.runtime import tilde
from cl_bench.runtime.errors import UserError

_WIDTH = 120  # where the output is no terminal
_NAMED = 5  # of what sets have, in a message

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What became of one method, or of one against another, on one scenario.

    Attributes:
        method: Its readable name, or both.
        pairs: A run of A and one of B each.
    """

    method: str
    scenario: str
    pairs: tuple[tuple[Run, Run], ...]

    @property
    def a(self) -> list[float]:
        """Accuracies of A's runs in percent."""
        return [_accuracy(run) for run, _ in self.pairs]

    @property
    def b(self) -> list[float]:
        """Accuracies of B's runs, in the same order."""
        return [_accuracy(run) for _, run in self.pairs]

    @property
    def differences(self) -> list[float]:
        """B − A, pair by pair."""
        return [b - a for a, b in zip(self.a, self.b, strict=True)]

    def interval(self) -> tuple[float, float] | None:
        """Where the mean difference lies with 95 % confidence; None where a single pair, or equal ones, say nothing."""
        if not self._varies():
            return None
        from scipy import stats

        low, high = stats.ttest_rel(self.b, self.a).confidence_interval(0.95)
        return float(low), float(high)

    def p(self) -> float | None:
        """Of the paired t-test, two-sided; None where a single pair, or equal ones, say nothing."""
        if not self._varies():
            return None
        from scipy import stats

        return float(stats.ttest_rel(self.b, self.a).pvalue)

    def _varies(self) -> bool:
        return len(self.a) > 1 and max(self.differences) - min(self.differences) > 1e-9


def compared(a: Iterable[Run], b: Iterable[Run]) -> tuple[list[Comparison], list[Run]]:
    """All comparisons, in the papers' order, and the runs that have no partner.

    Raises:
        UserError: There is no pair, or one of the sets has two different runs for one place in a pair.
    """
    a, b = list(a), list(b)
    methods = [{run.method for run in runs} for runs in (a, b)]
    one_each = all(len(names) == 1 for names in methods)
    names = " → ".join(dict.fromkeys(readable(method) for names in methods for method in names)) if one_each else None

    def key(run: Run) -> Key:
        return names or readable(run.method), run.scenario, run.images, repr(run.order), str(run.seed)

    first, second = distinct(a, key), distinct(b, key)
    if not first.keys() & second.keys():
        raise UserError(
            "No run of A has a partner in B: pairs have images, tasks, order, seed and method in common."
            + "".join(f"\n{line}" for line in _lacking(first, second))
        )
    groups: dict[tuple[str, str], list[tuple[Run, Run]]] = defaultdict(list)
    for common in sorted(first.keys() & second.keys(), key=lambda common: _place(first[common])):
        groups[common[0], common[1]].append((first[common], second[common]))
    unpaired = [run for runs, other in ((first, second), (second, first)) for k, run in runs.items() if k not in other]
    return [Comparison(*group, tuple(pairs)) for group, pairs in groups.items()], unpaired


def changes(pairs: Iterable[tuple[Run, Run]]) -> dict[str, list[tuple[Any, Any]]]:
    """Settings, images, versions and devices that differ within pairs: by name, the different pairs of values."""
    found: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for a, b in pairs:
        for name, values in differences(a, b).items():
            if values not in found[name]:
                found[name].append(values)
    return dict(found)


def _lacking(first: dict[Key, Run], second: dict[Key, Run]) -> Iterator[str]:
    """For each part of the keys of which A and B have nothing in common, what each has."""
    for part, name in enumerate(("method", "scenario", "images", "order", "seed")):
        a, b = (sorted({key[part] for key in runs}) for runs in (first, second))
        if not set(a) & set(b):
            yield f"{name}: {_some(a)} in A, {_some(b)} in B"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _place(run: Run) -> tuple[tuple[float, str], tuple[int, str], str, int]:
    return position(run.method), place(run.scenario), repr(run.order), run.seed


def _accuracy(run: Run) -> float:
    return float(run.result["headline"]["value"])


def main(arguments: list[str]) -> None:
    """Prints a table of differences between two sets of runs.

    Raises:
        UserError: A folder has no records, or two that contradict each other; there is no pair.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cl_bench.reports compare", description="Two sets of runs, pair by pair, with a paired t-test."
    )
    parser.add_argument("a", type=tilde.path, help="folder of the runs to compare with")
    parser.add_argument("b", type=tilde.path, help="folder of the runs that are compared")
    asked = parser.parse_args(arguments)
    read = [read_all(folder, IN_TABLES) for folder in (asked.a, asked.b)]
    together = scenarios.told_apart([*read[0], *read[1]])
    both = together[: len(read[0])], together[len(read[0]) :]
    (a, _), (b, _) = map(chosen_only, both)
    left_out = chosen_only(together)[1]
    if left_out and not (a and b):
        raise UserError(f"There is nothing to compare. {left_out}")
    found, unpaired = compared(map(Run.of, a), map(Run.of, b))
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


def _scalings(runs: Iterable[Run]) -> str:
    """The λ of one side; a star where its runs chose them."""
    runs = list(runs)
    values = sorted({value for run in runs if (value := scaling_of(run.result)) is not None})
    few = values if len(values) < 3 else [values[0], values[-1]]
    chosen = " *" if values and any(run.result.get("scalings") for run in runs) else ""
    return (", " if few == values else " to ").join(f"{value:g}" for value in few) + chosen if values else "none"


def _spread(values: Sequence[float], sign: str = "") -> str:
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.2f}{deviation}"


def _means_over_settings(one: Comparison) -> Iterator[str]:
    """Where the seeds of a side had several settings, which are not seen where the other side's had the same."""
    for side, runs in zip("AB", zip(*one.pairs, strict=True), strict=True):
        told = differing([run.result for run in runs], lambda result: None)
        if len(different := sorted(set(map(typed, told)))) > 1:
            yield f"{side}: {one.method} on {one.scenario} is a mean over {' and '.join(different)}"


def _remarks(found: Sequence[Comparison], unpaired: Sequence[Run]) -> Iterator[str]:
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
