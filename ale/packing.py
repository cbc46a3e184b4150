"""From a project's student to a model that leaves home: the scanner learns its beliefs, the audit says how well.

Nobody has learnt an audit label: student and scanner are measured on them, and promises are computed from them.
Of an audited text the scanner that is measured has not even seen the student's belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ale.audit.temperature import audit_temperature, held_out_probs
from ale.calibration import fit_temperature
from ale.cascade import HeldOut
from ale.chance import Rate
from ale.distilling import distil, with_gold
from ale.fitting import Fitted, Heard
from ale.folds import assign_folds
from ale.metrics import accuracy, ece
from ale.model import Model, ModelEncoder
from ale.predictor import Predictor
from ale.scanner.words import Lexicon
from ale.types import Indices, Probs

COMPARED = 5_000
"""Texts without a label on which scanner and student are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class PackInput:
    """Row i of `texts`, `groups` (equal for equal texts), `student` and `believed` is about text i.

    `student` is what the predictor says of the text, `believed` the same with all that is known of the pool.
    `unaided[i]` is the student's out-of-fold answer about row `labelled[i]`. With a `lexicon` the scanner may know words
    that none of the texts has.
    """

    texts: Sequence[str]
    groups: NDArray[np.int64]
    student: Probs
    believed: Probs
    labels: tuple[str, ...]
    labelled: Indices
    targets: NDArray[np.int64]
    unaided: Probs
    audited: Indices
    audit_targets: NDArray[np.int64]
    lexicon: Lexicon | None = None
    seed: int = 0


def pack_model(
    given: PackInput, predictor: Predictor, encoder: ModelEncoder, heard: Heard = lambda _: None
) -> Fitted:
    """The model, and what was measured. Deterministic for a seed; `heard` is told what is being done."""
    believed = given.believed.copy()
    believed[given.labelled] = with_gold(given.unaided, given.targets)
    judged = _judged(given)
    place = np.full(len(given.texts), -1, np.int64)
    place[judged] = np.arange(len(judged))
    folds = assign_folds(believed[judged].argmax(axis=1), given.groups[judged])
    heard("teaching the scanner")
    found = distil(
        given.texts,
        believed,
        judged,
        folds,
        lexicon=given.lexicon,
        # Audits choose nothing that they measure.
        choosing=~np.isin(given.groups[judged], given.groups[given.audited]),
        seed=given.seed,
    )
    out_of_fold = fit_temperature(found.logits[place[given.labelled]], given.targets)
    audits = found.logits[place[given.audited]]
    scanner = found.scanner.at(audit_temperature(audits, given.audit_targets, out_of_fold))
    said = held_out_probs(audits, given.audit_targets, out_of_fold)
    theirs = given.student[given.audited]
    held_out = HeldOut(given.audit_targets.astype(np.int32), said, theirs)
    compared = judged[~np.isin(judged, given.labelled)]
    agreed = found.logits[place[compared]].argmax(axis=1) == given.student[compared].argmax(axis=1)
    metrics = {
        "texts": float(len(given.texts)),
        "labelled": float(len(given.labelled)),
        "audited": float(len(given.audited)),
        "compared": float(len(compared)),
    }
    if len(compared):
        metrics["agreement"] = float(agreed.mean())
    for who, probs in (("scanner", said), ("student", theirs)):
        metrics |= _measured(who, probs, given.audit_targets)
    return Fitted(Model(given.labels, scanner, predictor, encoder, held_out), metrics)


def _judged(given: PackInput) -> Indices:
    """Labelled and audited texts, some more, and all rows with one of these texts."""
    fixed = np.concatenate([given.labelled, given.audited]).astype(np.int64)
    others = np.setdiff1d(np.arange(len(given.texts)), fixed)
    more = np.random.default_rng(given.seed).permutation(others)[:COMPARED]
    groups = given.groups[np.concatenate([fixed, more])]
    return np.flatnonzero(np.isin(given.groups, groups))


def _measured(who: str, probs: Probs, truth: NDArray[np.int64]) -> dict[str, float]:
    """On audit labels; nothing without them."""
    if not len(truth):
        return {}
    said = probs.argmax(axis=1)
    low, high = Rate(int((said == truth).sum()), len(truth)).interval
    return {
        f"{who}_accuracy": accuracy(said, truth),
        f"{who}_accuracy_low": low,
        f"{who}_accuracy_high": high,
        f"{who}_ece": ece(probs, truth),
    }
