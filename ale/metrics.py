"""The few numbers by which a student is judged. Empty input gives NaN, never a crash or a flattering zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def accuracy(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Share of rows that are right; higher is better."""
    return float(np.mean(predicted == truth)) if len(truth) else float("nan")


def macro_f1(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Mean F1 over the labels that occur in `truth` or `predicted`; higher is better."""
    present = np.union1d(truth, predicted)
    scores = []
    for label in present:
        hits = int(np.sum((predicted == label) & (truth == label)))
        scores.append(2 * hits / (int(np.sum(predicted == label)) + int(np.sum(truth == label))))
    return float(np.mean(scores)) if scores else float("nan")


def ece(probs: NDArray[np.floating], truth: NDArray[np.integer], bins: int = 10) -> float:
    """Expected calibration error over bins of equal size (Nguyen and O'Connor, 2015); lower is better.

    Equal-size bins, because with a hundred rows most bins of equal width hold two rows and measure luck.
    """
    if not len(truth):
        return float("nan")
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == truth
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [len(part) * abs(float(confidence[part].mean()) - float(right[part].mean())) for part in parts]
    return float(sum(gaps) / len(truth))


def area_under_curve(budgets: NDArray[np.integer], values: NDArray[np.floating]) -> float:
    """Mean height of a learning curve over its budgets (trapezoids); higher is better."""
    if len(budgets) < 2:
        return float(values[-1]) if len(values) else float("nan")
    widths = np.diff(budgets).astype(np.float64)
    return float((widths * (values[1:] + values[:-1]) / 2).sum() / widths.sum())
