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

import numpy as np
from numpy.typing import NDArray

from ale.audit.draws import chances

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


def boundary(pool: int, errors: int, drawn: Sequence[int], earlier: Sequence[int], budget: float) -> int:
    """The most errors at the last look that may still pass, -1 for none.

    The set holds `pool` rows of which `errors` are wrong: the fewest that break the promise. `drawn` counts
    the audited rows of the set at each look, `earlier` are the boundaries of the looks before. The chance to
    pass at any of the looks is at most `budget`; with more errors it is smaller.
    """
    alive, passed = _walk(pool, errors, drawn, earlier)
    within = np.flatnonzero(passed + np.cumsum(alive) <= budget)
    return int(within[-1]) if len(within) else -1


def surely_met(pool: int, errors: int, drawn: int, risk: float) -> int:
    """The number of errors that are met at least, but for a chance of `risk`, if the set holds `errors`."""
    fewer = np.cumsum(chances(pool, errors, drawn, np.arange(min(errors, drawn) + 1)))
    return int(np.searchsorted(fewer, risk, side="right"))


def _walk(
    pool: int, errors: int, drawn: Sequence[int], earlier: Sequence[int]
) -> tuple[NDArray[np.float64], float]:
    """The chances of 0, 1, ... errors met by the last look without having passed, and of having passed."""
    # Beyond the expected number no boundary lies: these states need no account.
    most = int(drawn[-1] * errors / pool) + 1 if pool else 0
    met = np.arange(most + 1)
    alive: NDArray[np.float64] = np.zeros(most + 1)
    alive[0], passed, before = 1.0, 0.0, 0
    for look, count in enumerate(drawn):
        step = chances(pool - before, errors - met[:, None], count - before, met - met[:, None])
        alive, before = alive @ step, count
        if look < len(earlier):
            through = earlier[look] + 1
            passed += float(alive[:through].sum())
            alive[:through] = 0.0
    return alive, passed
