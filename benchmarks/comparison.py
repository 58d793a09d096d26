"""How rules compare with one of them over the same cells: Wilcoxon's signed-rank test with Holm's correction."""

import statistics
from collections.abc import Mapping
from typing import NamedTuple

import pingouin
from scipy.stats import rankdata

Cell = tuple[str, str, int]
"""Scenario, trainer and seed: what two rules have in common that are compared."""

Values = Mapping[str, Mapping[Cell, float]]
"""By rule and cell."""

LEVEL = 0.05


class Comparison(NamedTuple):
    """A rule against the reference.

    Attributes:
        pairs: In how many cells there are both.
        difference: The mean of the rule's value minus the reference's.
        effect: The matched-pairs rank-biserial correlation, from -1 to 1: of the ranks of all differences that are not
            0, the share in favour of the rule, minus the share against it.
        p: Of Wilcoxon's signed-rank test, two-sided, after Holm's correction over all rules.
    """

    pairs: int
    difference: float
    effect: float
    p: float

    @property
    def holds(self) -> bool:
        """Whether the difference is significant."""
        return self.p < LEVEL


def compared(values: Values, reference: str) -> dict[str, Comparison]:
    """Compares every other rule with the reference, each over the cells that both have."""
    found: dict[str, Comparison] = {}
    for rule in values.keys() - {reference}:
        cells = sorted(values[rule].keys() & values[reference].keys())
        differences = [values[rule][cell] - values[reference][cell] for cell in cells]
        effect, p = _wilcoxon(differences)
        found[rule] = Comparison(len(cells), statistics.mean(differences), effect, p)
    rules = sorted(found)
    if not rules:
        return {}
    corrected = pingouin.multicomp([found[rule].p for rule in rules], method="holm")[1]
    return {rule: found[rule]._replace(p=float(p)) for rule, p in zip(rules, corrected, strict=True)}


def mean_ranks(values: Values) -> dict[str, float]:
    """The mean rank of each rule that is in every cell, from 1, the best; equals share the mean of their ranks."""
    cells = set().union(*(of_rule.keys() for of_rule in values.values()))
    rules = sorted(rule for rule, of_rule in values.items() if of_rule.keys() == cells)
    ranks = [rankdata([-values[rule][cell] for rule in rules]) for cell in sorted(cells)]
    return {rule: float(statistics.mean(of_cell[i] for of_cell in ranks)) for i, rule in enumerate(rules)}


def _wilcoxon(differences: list[float]) -> tuple[float, float]:
    """The size of the effect, and p before any correction."""
    if not any(differences):
        return 0.0, 1.0
    row = pingouin.wilcoxon(differences).iloc[0]
    return float(row["RBC"]), float(row["p_val"])
