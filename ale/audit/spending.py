"""Declared looks: how often a promise may be tried, and how much of the risk each try may spend.

A look is made when the number of audit labels reaches the next of the declared counts, never because the labels
look good. `spent(n)` is the share of the whole risk that all looks up to n labels may use together (alpha
spending; Lan and DeMets, 1983). Two things follow.

* As long as the same model is judged, the looks share one random draw. How likely an unlucky draw is at this
  look but was not before is computed exactly (hypergeometric steps), so repeating costs little.
* A new model is a new question. Its looks have only what `spent` has grown by since the last look at another
  model. The sum over all looks and models stays below the risk by the union bound, however alike or different
  the models are: nothing is assumed about how they change.

Against the betting sequence (see `sequence`), which may be read at any time but knows only one model, looks at
300, 600 and 1,000 labels accept more at the same risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ale.audit.draws import log_choose

_COUNTS = (100, 150, 200, 300, 450, 600, 800)
"""Declared counts of a decade: some 1.3 to 1.5 times apart, then again times ten."""

_MAIN = 1000
_BY_MAIN = 0.95  # of the risk: most audits end about there; the rest is left for those that go on


def declared(audited: int) -> int:
    """The last declared count that `audited` labels have reached; 0 before the first."""
    if audited < _COUNTS[0]:
        return 0
    decade = 1
    while audited >= 10 * decade * _COUNTS[0]:
        decade *= 10
    return max(count * decade for count in _COUNTS if count * decade <= audited)


def following(audited: int) -> int:
    """The next declared count after `audited` labels."""
    decade = 1
    while True:
        for count in _COUNTS:
            if count * decade > audited:
                return count * decade
        decade *= 10


def spent(audited: int) -> float:
    """The share of the risk that the looks up to `audited` labels may use, in [0, 1), rising."""
    share = audited / _MAIN
    return _BY_MAIN * share**2 if share <= 1 else 1.0 - (1.0 - _BY_MAIN) / share


@lru_cache(maxsize=1 << 16)
def boundary(
    pool: int, left: tuple[int, ...], drawn: tuple[int, ...], earlier: tuple[int, ...], budget: float
) -> int:
    """The most errors at the last look with which a set may still pass, -1 for none.

    The set holds `pool` rows. Of the rows that remain after a look at most `left` may be wrong; `drawn` counts the
    audited rows at each look, `earlier` are the boundaries of the looks before. Whatever number of the set's rows
    is wrong: the chance to pass at any look at which more than `left` remain is at most `budget`.

    Why one number of wrong rows stands for all. With M wrong rows, a look breaks the promise when it is passed
    with fewer than M - left errors met. Let M* be the least `left` + 1 + boundary of any look. Up to M* one more
    wrong row adds at most one to what is met and one to what still breaks: the chance rises with M. From M* on
    it is at most the chance to pass at all, which falls. So it is nowhere above the chance to pass at M*.
    """
    counts, met = (
        np.array(drawn)[:, None],
        np.arange(max(_highest(pool, left[-1], drawn[-1]), *earlier, 0) + 1),
    )
    rate = min((left[-1] + 1) / pool, 0.5)  # any would do: it cancels
    arriving = _arriving(drawn, earlier, met, rate)
    replaced = met * np.log(rate) + (counts - met) * np.log1p(-rate)
    reached = [one + 1 + most for one, most in zip(left, earlier, strict=False) if most >= 0]

    def risk(most: int) -> float:
        """The chance to pass at any look. Each order of rows is as likely as any other: what was counted as if
        rows were drawn with replacement is weighed, look by look, for what it is without.
        """
        errors = min([left[-1] + 1 + most, *reached])
        ways = log_choose(pool - counts, errors - met) - log_choose(pool, errors)
        passing = met <= np.array([*earlier, most])[:, None]
        return float((arriving * np.exp(ways - replaced) * passing).sum()) if errors <= pool else 0.0

    # Few errors at this look are a weak bound on what may be wrong: then the chance of the earlier looks counts
    # in full, and it may be that only from some number on all is within the budget.
    fits = -1
    for most in range(max((0, *earlier)), len(met)):
        if risk(most) <= budget:
            fits = most
        elif fits >= 0:
            break
    below = range(max((0, *earlier)) - 1, -1, -1) if fits < 0 else ()
    return next((most for most in below if risk(most) <= budget), fits)


def _highest(pool: int, left: int, drawn: int) -> int:
    """A boundary is not above this: as many errors are met, or fewer, with a chance of a half."""
    return drawn if pool <= drawn else min(drawn, int(drawn * (left + 1) / (pool - drawn)) + 1)


def _arriving(
    drawn: Sequence[int], earlier: Sequence[int], met: NDArray[np.int64], rate: float
) -> NDArray[np.float64]:
    """The chance to come to each look (rows) with so many errors (columns) and not to have passed before."""
    new = np.diff(drawn, prepend=0)[:, None]
    steps = np.exp(log_choose(new, met) + met * np.log(rate) + (new - met) * np.log1p(-rate))
    found, alive = np.zeros(steps.shape), (met == 0).astype(np.float64)
    for look, step in enumerate(steps):
        alive = np.convolve(alive, step)[: len(met)]
        found[look] = alive
        if look < len(earlier):
            alive[: earlier[look] + 1] = 0.0
    return found
