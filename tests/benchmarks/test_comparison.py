import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.comparison import compared, mean_ranks

CELLS = [("digits_5", trainer, seed) for trainer in ("independent", "sequential") for seed in range(1, 6)]


def of(numbers):
    return dict(zip(CELLS, numbers, strict=False))


def signed_rank(differences):
    """Wilcoxon's test by all signs that the differences might have had, and the shares of the ranks."""
    kept = [difference for difference in differences if difference]
    by_size = sorted(map(abs, kept))
    ranks = [statistics.mean(i for i, size in enumerate(by_size, 1) if size == abs(one)) for one in kept]
    total = sum(ranks)
    up = sum(rank for rank, one in zip(ranks, kept, strict=True) if one > 0)
    as_far = [
        abs(sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) - total / 2) >= abs(up - total / 2)
        for signs in itertools.product((False, True), repeat=len(kept))
    ]
    return (2 * up - total) / total, sum(as_far) / len(as_far)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-40, 40).filter(bool), min_size=10, max_size=10, unique_by=abs))
def test_effect_and_p_are_those_of_all_signs(differences):
    ((_, found),) = compared({"average": of([50.0] * 10), "ties": of([50 + d for d in differences])}, "average").items()
    effect, p = signed_rank(differences)
    assert found.effect == pytest.approx(effect) and found.p == pytest.approx(p)
    assert (found.pairs, found.difference) == (10, pytest.approx(statistics.mean(differences)))


def test_holm_corrects_over_all_rules():
    rules = {"average": of([50.0] * 10), "better": of([50 + d for d in range(1, 11)]), "same": of([50.0] * 10)}
    alone = compared({name: rules[name] for name in ("average", "better")}, "average")["better"]
    both = compared(rules, "average")
    assert both["better"].p == pytest.approx(2 * alone.p) and both["better"].holds and both["better"].effect == 1
    assert both["same"] == (10, 0.0, 0.0, 1.0) and not both["same"].holds


def test_only_cells_that_both_have_are_compared():
    rules = {"average": of([50.0] * 10), "few": of([60.0, 40.0])}
    assert compared(rules, "average")["few"].pairs == 2
    assert compared({"average": of([50.0])}, "average") == {}


def test_ranks_are_means_over_cells_of_rules_that_are_in_all():
    rules = {"a": of([60.0, 50.0]), "b": of([50.0, 50.0]), "c": of([40.0, 40.0]), "few": of([99.0])}
    assert mean_ranks(rules) == {"a": 1.25, "b": 1.75, "c": 3.0}
