"""A bound on the errors of a finite set that holds at all times at once: look as often as you like.

The set holds `pool` rows, m of which are wrong. They are audited in random order. For every m there is a bet
against it that is fair if m is true: the capital is

    chance of what was met, averaged over error rates below the claim / its chance if m were true

(a likelihood ratio of hypergeometric draws, which depends only on how many were drawn and how many were wrong).
If m is true, the capital is a non-negative martingale from 1, so it ever reaches 1/alpha with a chance of at
most alpha (Ville, 1939). An m whose capital is below 1/alpha cannot be excluded; the bound is the largest of
them. This is the betting confidence sequence for sampling without replacement (Waudby-Smith and Ramdas, 2020
and 2024), with a fixed mixture as the bet: no tuning, no memory, monotone in m.

It holds for one fixed model. Where the model changes between looks, see `spending`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ale.audit.draws import chances

_RATES = 24


def most_errors(pool: int, audited: int, wrong: int, alpha: float, aim: float = 0.05) -> int:
    """The largest number of errors that the whole set may hold; too small with a chance of at most `alpha`.

    `aim` is the error rate around which the bound is sharpest; it must not depend on the audit. A set that
    was audited to its end is known.
    """
    _check(pool, audited, wrong, alpha)
    low, high = wrong, pool - (audited - wrong)
    share = wrong / audited if audited else 0.0
    low = max(low, int(share * pool))  # the likeliest m; above it the capital only rises
    while low < high:
        middle = (low + high + 1) // 2
        if capital(pool, audited, wrong, middle, aim) < 1.0 / alpha:
            low = middle
        else:
            high = middle - 1
    return low


def capital(pool: int, audited: int, wrong: int, errors: int, aim: float = 0.05) -> float:
    """What a bet of 1 against `errors` errors in the set has become; infinite when they are impossible."""
    rates = _bets(pool, aim)
    against = float(chances(pool, errors, audited, wrong))
    for_it = float(chances(pool, rates, audited, wrong).mean())
    return for_it / against if against > 0 else float("inf")


def _bets(pool: int, aim: float) -> NDArray[np.int64]:
    """Numbers of errors that are betted on: from none to twice the aim, closer together near none."""
    errors = 2 * aim * pool * np.linspace(0.0, 1.0, _RATES) ** 2
    return np.asarray(np.minimum(np.rint(errors), pool), np.int64)


def _check(pool: int, audited: int, wrong: int, alpha: float) -> None:
    if not 0 <= wrong <= audited <= pool:
        raise ValueError(f"{wrong} wrong of {audited} audited of {pool}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha lies between 0 and 1, not at {alpha}")
