"""What a learn run writes down of the audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from ale.audit.measured import NOTHING_AUDITED, Audit, measure_audit
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


def test_confidences_are_told_beside_what_was_right() -> None:
    """Bins of at least twenty audits, the least confident first, with an interval; none while there is but one bin."""
    dataset = Dataset([], NOBODY, NOBODY, [], NOBODY, [], {}, NO_AUDIT)
    sure = np.repeat([0.5, 4.0], 20)
    logits = np.stack([sure, np.zeros(40)], axis=1)
    targets = np.array([0, 1] * 10 + [0] * 20)
    audit = measure_audit(targets, 0, logits, out_of_fold=1.0, teacher=None)
    bins = audit_counts(audit, SILENT, dataset)["reliability"]
    assert [one["of"] for one in bins] == [20, 20]
    assert bins[0]["confidence"] < bins[1]["confidence"]
    assert [one["hits"] for one in bins] == [10, 20]
    assert bins[1]["low"] < 1.0 == bins[1]["high"]
    few = measure_audit(targets[:39], 0, logits[:39], out_of_fold=1.0, teacher=None)
    assert audit_counts(few, SILENT, dataset)["reliability"] is None
