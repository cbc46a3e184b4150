"""Which given labels are probably wrong: evidence in, label issues with a suggestion and a reason out."""

from ale.review.evidence import Evidence, Refit
from ale.review.issues import Review, find_label_issues

__all__ = ["Evidence", "Refit", "Review", "find_label_issues"]
