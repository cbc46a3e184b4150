"""Which given labels are probably wrong: evidence in, label issues with a suggestion and a reason out."""

from ale.review.decisions import Decisions, Remaining
from ale.review.evidence import Evidence, Refit
from ale.review.issues import PRECISION, Review, find_label_issues

__all__ = ["PRECISION", "Decisions", "Evidence", "Refit", "Remaining", "Review", "find_label_issues"]
