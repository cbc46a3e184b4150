"""The query strategies by name. A new one is a function in this folder and a line in this table."""

from __future__ import annotations

from ale.errors import UnknownName
from ale.protocols import Strategy
from ale.strategies.baseline import random_order
from ale.strategies.disagreement import disagreement
from ale.strategies.diversity import diverse, margin, margin_clusters
from ale.strategies.uncertainty import entropy_scores, least_confidence_scores, top

STRATEGIES: dict[str, Strategy] = {
    "margin": margin,
    "margin-clusters": margin_clusters,
    "least-confidence": top(least_confidence_scores, diverse),
    "entropy": top(entropy_scores, diverse),
    "disagreement": disagreement,
    "diverse": diverse,
    "random": random_order,
}
DEFAULT_STRATEGY = "margin"


def resolve_strategy(name: str) -> Strategy:
    """The strategy of that name."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    return STRATEGIES[name]


__all__ = ["DEFAULT_STRATEGY", "STRATEGIES", "resolve_strategy"]
