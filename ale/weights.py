"""How much a person's label counts in a student and in a tuning, by how it came about.

- A label of the audit trains nothing: it measures.
- A teacher's answer has no weight of its own: cross-validation on people's labels says what the student hears of it.
- Labels of equal texts share the weight of one.
- All others count alike. With annotators who let three wrong suggestions in ten pass, making a label heavier that
  changes the suggestion, or lighter that accepts it, cost half a point where the teacher is good and won less
  elsewhere; making labels heavier that a reviewer confirmed won nothing (`python -m benchmarks label_weights`).
- Nor is a label lighter that the review doubts. For the same labels that won a third of a point where one in ten is
  wrong; but the next review reads the fit that its doubts have changed. In the loop (sample project, eight runs)
  recall of the wrong labels was .67 for .77, about one and a half standard errors, and nothing was gained in
  accuracy: no reason for a feedback that makes a run depend on the one before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def label_weights(groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """A weight per label; labels of equal texts (of one number in `groups`, from 0) share the weight of one.

    What is imported often is no surer for it, and a few such texts outweighed all others.
    """
    return np.asarray(1.0 / np.bincount(groups)[groups] if len(groups) else np.zeros(0), np.float64)
