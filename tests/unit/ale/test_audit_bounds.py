"""Bounds from audit labels: exact where a formula is known, and held to their promise by many random draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from ale.audit.draws import at_most, chances
from ale.audit.intervals import Accuracy, clopper_pearson
from ale.audit.sequence import capital, most_errors
from ale.audit.spending import boundary, declared, following, spent
from ale.chance import Rate


def test_skipped_audits_count_as_errors_where_a_bound_is_told() -> None:
    """Eight of ten answered are right; with ten skipped ones only eight of twenty count."""
    found = Accuracy(Rate(8, 10), skipped=10)
    assert found.counted == Rate(8, 20)
    assert found.at_least() < 0.4 < Accuracy(Rate(10, 10), skipped=0).at_least()


def test_nothing_audited_proves_nothing() -> None:
    """The bound is nothing, and so is it when all were skipped; the interval is everything."""
    assert Accuracy(Rate(0, 0), skipped=0).at_least() == 0.0
    assert Accuracy(Rate(0, 0), skipped=5).at_least() == 0.0
    assert clopper_pearson(Rate(0, 0)) == (0.0, 1.0)


@given(of=st.integers(1, 400), part=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_exact_interval_turns_the_binomial_tails(of: int, part: float, level: float) -> None:
    """At its ends exactly half of the remaining chance lies beyond what was seen."""
    hits = round(part * of)
    low, high = clopper_pearson(Rate(hits, of), level)
    assert low <= hits / of <= high
    if hits:
        assert binom.sf(hits - 1, of, low) == pytest.approx((1 - level) / 2, rel=1e-6)
    if hits < of:
        assert binom.cdf(hits, of, high) == pytest.approx((1 - level) / 2, rel=1e-6)


@given(pool=st.integers(1, 300), m=st.floats(0, 1), k=st.floats(0, 1))
def test_draws_are_hypergeometric(pool: int, m: float, k: float) -> None:
    """As scipy has it, impossible numbers included."""
    errors, drawn = round(m * pool), round(k * pool)
    met = np.arange(-1, drawn + 2)
    assert np.allclose(chances(pool, errors, drawn, met), hypergeom.pmf(met, pool, errors, drawn), atol=1e-9)
    assert at_most(pool, errors, drawn, drawn) == pytest.approx(1.0)


def test_sequence_holds_at_all_looks_at_once() -> None:
    """Over 2,000 audits of 300 rows each, read after every row, the bound fails in at most 5 % (seen: fewer)."""
    rng = np.random.default_rng(5)
    pool, errors, alpha = 1000, 50, 0.05
    table = np.array(
        [[capital(pool, n, wrong, errors) if wrong <= n else 0.0 for wrong in range(51)] for n in range(301)]
    )
    failed = 0
    for _ in range(2000):
        wrong = np.cumsum(rng.permutation(pool)[:300] < errors)
        failed += bool((table[np.arange(1, 301), wrong] >= 1 / alpha).any())
    assert 0.005 < failed / 2000 <= 0.05


@settings(max_examples=60)
@given(pool=st.integers(1, 2000), a=st.floats(0, 1), w=st.floats(0, 0.5), alpha=st.sampled_from([0.01, 0.05]))
def test_sequence_is_monotone(pool: int, a: float, w: float, alpha: float) -> None:
    """It never lies below what was seen, rises with an error and falls with the risk; at the end all is known."""
    audited = round(a * pool)
    wrong = round(w * audited)
    bound = most_errors(pool, audited, wrong, alpha)
    assert wrong <= bound <= pool - (audited - wrong)
    assert most_errors(pool, audited, wrong, alpha / 5) >= bound
    if wrong < audited:
        assert most_errors(pool, audited, wrong + 1, alpha) >= bound
    assert most_errors(pool, pool, wrong, alpha) == wrong


def test_without_an_audit_everything_may_be_wrong() -> None:
    """No label, no claim."""
    assert most_errors(500, 0, 0, 0.05) == 500


def test_declared_looks_go_on_for_ever() -> None:
    """Their counts are on the list, each is followed by the next, and what is spent stays below the whole."""
    assert [declared(n) for n in (0, 99, 100, 149, 310, 999, 1000, 14_999, 15_000)] == [
        *(0, 0, 100, 100, 300, 800, 1000, 10_000, 15_000)
    ]
    assert [following(n) for n in (0, 100, 310, 800, 8_000)] == [100, 150, 450, 1000, 10_000]
    shares = [spent(n) for n in range(0, 100_000, 50)]
    assert all(one < two for one, two in itertools.pairwise(shares))
    assert shares[0] == 0.0
    assert shares[-1] < 1.0


@settings(max_examples=40, deadline=None)
@given(
    pool=st.integers(20, 250),
    limit=st.floats(0.01, 0.2),
    first=st.floats(0.02, 0.4),
    second=st.floats(0.4, 0.9),
    kept=st.floats(0.7, 1.0),
    budget=st.floats(0.001, 0.05),
)
def test_looks_spend_what_they_may(
    pool: int, limit: float, first: float, second: float, kept: float, budget: float
) -> None:
    """However many rows are wrong, one of two looks is passed with too many left with at most the budget's chance."""
    drawn = round(first * pool), round(second * pool)
    left = tuple(max(0, int(limit * (kept * pool - count))) for count in drawn)
    early = boundary(pool, left[:1], drawn[:1], (), budget / 3)
    late = boundary(pool, left, drawn, (early,), budget)

    def breaks(errors: int, first_most: int, last_most: int) -> float:
        """The chance by summing over what the looks met."""
        met = np.arange(errors + 1)
        once = chances(pool, errors, drawn[0], met)
        broken = (met <= first_most) & (errors - met > left[0])
        then = chances(pool - drawn[0], errors - met[:, None], drawn[1] - drawn[0], met - met[:, None])
        later = then[:, : max(0, min(last_most, errors - left[1] - 1) + 1)].sum(axis=1)
        return float((once * np.where(broken, 1.0, later)).sum())

    suspects = range(min(pool, left[0] + max(early, late) + 30) + 1)  # with more, fewer looks are passed
    assert max(breaks(errors, early, -1) for errors in suspects) <= budget / 3 + 1e-9
    assert max(breaks(errors, early, late) for errors in suspects) <= budget + 1e-9
    worst = left[0] + 1 + early + 1
    if worst <= pool and early + 1 <= drawn[0]:
        assert breaks(worst, early + 1, -1) > budget / 3 - 1e-9, (
            "one more error at the first look is too many"
        )


def test_earlier_looks_cost_little() -> None:
    """A quarter of a pool is audited: after four looks the fifth allows nearly as many errors as one look would."""
    pool, counts = 4000, (300, 450, 600, 800, 1000)
    limits: tuple[int, ...] = ()
    left = tuple(int(0.05 * (pool - count)) for count in counts)
    for upto, count in enumerate(counts, start=1):
        limits = (*limits, boundary(pool, left[:upto], counts[:upto], limits, 0.05 * spent(count)))
    alone = boundary(pool, left[-1:], counts[-1:], (), 0.05 * spent(1000))
    assert alone - 2 <= limits[-1] <= alone
    assert list(limits) == sorted(limits)
