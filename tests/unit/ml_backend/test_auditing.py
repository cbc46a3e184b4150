"""What a learn run writes down of the audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from ale.audit.measured import NOTHING_AUDITED, Audit
from ale.chance import Rate
from ml_backend.auditing import audit_counts
from ml_backend.dataset import NO_AUDIT, Dataset
from ml_backend.opinions import Opinion

NOBODY = np.zeros(0, np.int64)
SILENT = Opinion(None, ())


def test_the_bound_counts_skipped_tasks_as_errors() -> None:
    """The interval leaves them out; the bound is the accuracy at which 80 right of 100 are the luckiest twentieth."""
    dataset = Dataset([], NOBODY, NOBODY, [], NOBODY, [], {}, NO_AUDIT)
    audit = Audit(90, 10, Rate(80, 90), Rate(0, 0), 0.05)
    told = audit_counts(audit, SILENT, dataset)
    assert (told["student"]["hits"], told["student"]["of"]) == (80, 90)
    assert binom.sf(79, 100, told["at_least"]) == pytest.approx(0.05, rel=1e-3)
    assert told["at_least"] < audit_counts(replace(audit, skipped=0), SILENT, dataset)["at_least"]
    assert audit_counts(NOTHING_AUDITED, SILENT, dataset)["at_least"] is None
