"""Two sets of runs, pair by pair.

The two runs of a pair have their images, kind and number of tasks, order of arrival, seed and kind of accuracy in
common; a rule that has learned on test images is not compared with one that has not. They have their method in common,
too, unless each set has but one: so two methods are compared, or all methods before and after a change. Differences are
B − A of the headline accuracy, in points.

The test is Student's paired t over seeds. With three or five seeds a test of ranks can never be significant (the
smallest two-sided p of Wilcoxon's is 0.25 and 0.06), while t uses how large the differences are, and gives the
interval. In turn it assumes that they are roughly normal.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cl_bench.reports.kinds import kind_of
from cl_bench.reports.names import method_position
from cl_bench.reports.runs import RecordedRun, differences, distinct
from cl_bench.reports.scenario_names import scenario_position
from cl_bench.runtime.errors import UserError

_MOST_NAMES = 5  # of what the sets have, in a message

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What became of one method, or of one against another, on one scenario.

    Attributes:
        method: The method's name, or both methods' names.
        scenario: The scenario's name.
        pairs: A run of A and one of B each.
    """

    method: str
    scenario: str
    pairs: tuple[tuple[RecordedRun, RecordedRun], ...]

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
        """The 95 % confidence interval of the mean difference; None for a single pair, or if all are equal."""
        if not self._varies():
            return None
        from scipy import stats

        low, high = stats.ttest_rel(self.b, self.a).confidence_interval(0.95)
        return float(low), float(high)

    def p(self) -> float | None:
        """The paired t-test's two-sided p; None for a single pair, or if all differences are equal."""
        if not self._varies():
            return None
        from scipy import stats

        return float(stats.ttest_rel(self.b, self.a).pvalue)

    def _varies(self) -> bool:
        return len(self.a) > 1 and max(self.differences) - min(self.differences) > 1e-9


def compared(a: Iterable[RecordedRun], b: Iterable[RecordedRun]) -> tuple[list[Comparison], list[RecordedRun]]:
    """Pairs the runs of two sets.

    Returns:
        All comparisons in the papers' order, and the runs without a partner.

    Raises:
        UserError: There is no pair, or one of the sets has two different runs for one place in a pair.
    """
    a, b = list(a), list(b)
    methods = [{run.method: run.name for run in runs} for runs in (a, b)]
    one_each = all(len(names) == 1 for names in methods)
    both = " → ".join(dict.fromkeys(name for names in methods for name in names.values())) if one_each else None

    def key(run: RecordedRun) -> Key:
        accuracy = run.result["headline"]["name"].removeprefix("accuracy.").removeprefix("metrics.")
        kind = kind_of(run.result)
        what = kind.flag if kind else "one model for all tasks"
        return both or run.name, run.scenario, run.images, repr(run.order), str(run.seed), accuracy, what

    first, second = distinct(a, key), distinct(b, key)
    if not first.keys() & second.keys():
        raise UserError(
            "No run of A has a partner in B: pairs have images, tasks, order, seed and method in common."
            + "".join(f"\n{line}" for line in _obstacles(first, second))
        )
    groups: dict[tuple[str, str], list[tuple[RecordedRun, RecordedRun]]] = defaultdict(list)
    for common in sorted(first.keys() & second.keys(), key=lambda common: _position(first[common])):
        groups[common[0], common[1]].append((first[common], second[common]))
    unpaired = [run for runs, other in ((first, second), (second, first)) for k, run in runs.items() if k not in other]
    return [Comparison(*group, tuple(pairs)) for group, pairs in groups.items()], unpaired


def changes(pairs: Iterable[tuple[RecordedRun, RecordedRun]]) -> dict[str, list[tuple[Any, Any]]]:
    """Finds what differs within pairs (settings, images, versions, devices): by name, the different pairs of values."""
    found: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for a, b in pairs:
        for name, values in differences(a, b).items():
            if values not in found[name]:
                found[name].append(values)
    return dict(found)


def _obstacles(first: dict[Key, RecordedRun], second: dict[Key, RecordedRun]) -> Iterator[str]:
    """For each part of the keys in which A and B have nothing in common, what each has."""
    for part, name in enumerate(("method", "scenario", "images", "order", "seed", "accuracy", "kind of model")):
        a, b = (sorted({key[part] for key in runs}) for runs in (first, second))
        if not set(a) & set(b):
            yield f"{name}: {_few(a)} in A, {_few(b)} in B"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _position(run: RecordedRun) -> tuple[tuple[float, str], tuple[int, str], str, int]:
    return method_position(run.method), scenario_position(run.scenario), repr(run.order), run.seed


def _accuracy(run: RecordedRun) -> float:
    return float(run.result["headline"]["value"])
