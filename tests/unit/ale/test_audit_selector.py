"""The selector ranks by what the audit shows: a label on which the teacher errs, a student that is too modest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.audit.finish import select
from ale.audit.selector import FITTED, signs, sureness
from ale.types import Probs

POOL = 4000


def suggestions(seed: int = 0) -> tuple[Probs, NDArray[np.bool_]]:
    """Two labels said equally often with chances that mean nothing; of label 1 a fifth is wrong, of 0 one in 200."""
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 2, POOL)
    chance = rng.uniform(0.5, 0.9, POOL)
    probs = np.where(np.arange(2) == said[:, None], chance[:, None], 1 - chance[:, None]).astype(np.float32)
    return probs, rng.random(POOL) >= np.where(said == 1, 0.2, 0.005)


def test_it_learns_which_label_to_trust() -> None:
    """All suggestions of the trusted label come before all others, and the numbers are honest."""
    probs, right = suggestions()
    first = np.random.default_rng(1).permutation(POOL)[:400]
    found = sureness(signs(probs), first, right[first])
    trusted = probs.argmax(axis=1) == 0
    assert np.quantile(found[trusted], 0.01) > np.quantile(found[~trusted], 0.99)
    assert found[trusted].mean() == pytest.approx(0.995, abs=0.015)
    assert found[~trusted].mean() == pytest.approx(0.8, abs=0.06)


def test_a_silent_teacher_and_an_agreeing_one_are_different_signs() -> None:
    """Agreement, silence, labels and the preference of each opinion: one column each, in standard units."""
    probs, _ = suggestions()
    teacher = np.eye(2, dtype=np.float32)[probs.argmax(axis=1)]
    teacher[:1000] = np.nan
    teacher[1000:2000] = teacher[1000:2000, ::-1]
    table = signs(probs, teacher, [probs])
    assert table.shape == (POOL, 2 + 2 + 2)
    assert np.allclose(table.mean(axis=0), 0.0, atol=1e-6)
    agreed, silent = table[:, 2], table[:, 3]
    assert len(np.unique(agreed)) == len(np.unique(silent)) == 2
    assert (agreed[2000:] > agreed[:2000].max()).all()
    assert (silent[:1000] > silent[1000:].max()).all()


def test_all_right_is_no_crash() -> None:
    """Without an error there is nothing to tell rows apart by: all are nearly sure."""
    probs, _ = suggestions()
    found = sureness(signs(probs), np.arange(FITTED), np.ones(FITTED, bool))
    assert np.isfinite(found).all()
    assert found.min() > 0.9


def test_what_the_selector_learnt_from_proves_nothing() -> None:
    """Their verdicts do not enter the test, and their rows are neither finished nor counted."""
    probs, right = suggestions()
    order = np.random.default_rng(2).permutation(POOL)[:600]
    confidence = sureness(signs(probs), order[:FITTED], right[order[:FITTED]])
    nobody = np.zeros(0, np.int64)
    wrong = ~right[order]
    found = select(confidence, order, wrong, nobody, max_error=0.05, fitted=FITTED)
    other = wrong.copy()
    other[:FITTED] = True
    same = select(confidence, order, other, nobody, max_error=0.05, fitted=FITTED)
    assert len(found.rows) > 0.25 * POOL
    assert np.array_equal(found.rows, same.rows)
    assert not np.isin(found.rows, order).any()
    assert found.audited < 600 - FITTED
