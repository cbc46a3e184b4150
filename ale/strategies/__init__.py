"""The query strategies by name. A new one is a function in this folder and a line in this table."""

from __future__ import annotations

from ale.errors import UnknownName
from ale.protocols import Strategy
from ale.strategies.badge import badge
from ale.strategies.baseline import random_order
from ale.strategies.density import density_weighted
from ale.strategies.disagreement import committee, disagreement, vote_entropy
from ale.strategies.diversity import coreset, typiclust
from ale.strategies.margins import margin, margin_clusters
from ale.strategies.uncertainty import entropy_scores, least_confidence_scores, top

STRATEGIES: dict[str, Strategy] = {
    "margin": margin,
    "margin-clusters": margin_clusters,
    "least-confidence": top(least_confidence_scores, typiclust),
    "entropy": top(entropy_scores, typiclust),
    "density-weighted": density_weighted,
    "badge": badge,
    "disagreement": disagreement,
    "committee": committee,
    "vote-entropy": vote_entropy,
    "typiclust": typiclust,
    "coreset": coreset,
    "random": random_order,
}
DEFAULT_STRATEGY = "margin"


def resolve_strategy(name: str) -> Strategy:
    """The strategy of that name."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, list(STRATEGIES))
    return STRATEGIES[name]


__all__ = ["DEFAULT_STRATEGY", "STRATEGIES", "resolve_strategy"]
