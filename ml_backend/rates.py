"""Shares and figures as JSON has them."""

from __future__ import annotations

import math
from typing import Any

from ale.chance import Rate

Json = dict[str, Any]


def rate_row(rate: Rate) -> Json:
    """A share with its 95 % interval."""
    low, high = rate.interval
    return {"hits": rate.hits, "of": rate.of, "low": round(low, 4), "high": round(high, 4)}


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 6)
