"""When a tuning is due: as a rule after every tenth label more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ale.tuning.plan import LEAST_LABELS
from ml_backend.dataset import Dataset

if TYPE_CHECKING:  # the web process asks why a tuning failed, and is to stay without students
    from ml_backend.tuning.kept import Kept

GROWTH = 0.1
LEAST_NEWS = 10
"""While there are few labels, a tenth of them is not worth minutes."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a project needs: `tune` on so many labels, or only `read` what came since with the weights of then."""

    what: Literal["tune", "read"]
    labels: int


def need(dataset: Dataset, kept: Kept | None) -> Need | None:
    """None while labels and texts are (nearly) those of the last tuning, or too few to judge one."""
    labels = len(dataset.labelled)
    if labels < LEAST_LABELS or len(np.unique(dataset.targets)) < 2:
        return None
    if kept is None or kept.changed(dataset) >= enough(len(kept.learnt)):
        return Need("tune", labels)
    if len(kept.unread(dataset)) >= enough(len(kept.hashes)):
        return Need("read", labels)
    return None


def enough(before: int) -> float:
    """How many news among so many are worth a tuning."""
    return max(LEAST_NEWS, GROWTH * before)
