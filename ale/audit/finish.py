"""How much of a pool may be labelled automatically, with a promise about the errors that the audit can keep.

The promise: of the rows in `Finish.rows`, at most `max_error` carry a wrong label, with the stated confidence over
the random draw of the audit, however often one tries. Tries at a changed model spend part of the risk, so a promise
that was tried often is as valid as ever, but harder to prove.

Why it holds. Draw and model: the audited rows are the beginning of a random permutation that no choice of
labels, no training and no calibration has seen. So for a given model the audited rows of a set are a random draw
without replacement from the set, and the number of wrong ones is hypergeometric. One set at one look: let L be
the most wrong labels that may remain, `max_error` times the rows that remain. Errors that the audit met no longer
remain. `boundary` is so low that however many rows of the set are wrong, the chance to meet no more errors than
it, and to leave more than L, is at most what the look may spend. Many sets: see `path`. Many looks, and models
that change between them: see `spending`. A skipped audit counts as wrong.

What it assumes beyond the draw. (1) Confidences do not depend on audit labels, and neither does which model is
in force at a look. (2) Humans have taken rows out of the set by choice, and it is not known how good the
model would have been there. The worst case is counted: the rows that they took were all right, so all errors of
the set are among those that remain. `labelled` rows should carry out-of-fold confidences: what a model says of a
row that it learnt from would put more of them into the set. (3) The model errs no more often on rows
outside the reserve than on those inside it, labelled rows taken into account as in (2); rows inside were
never trained on, so the draw is, if anything, the harder part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.audit.path import make_path
from ale.audit.spending import boundary, declared, following, spent
from ale.chance import Rate
from ale.errors import ConfigurationError
from ale.types import Indices


@dataclass(frozen=True, slots=True)
class Look:
    """A look that was made: at how many audit labels, at which model."""

    audited: int
    version: str


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """The outcome of a look. `rows` may be labelled automatically; none of them means that it was refused.

    `threshold`: accepted is what has this confidence or more. `audited` and `wrong` count the audit labels
    inside the accepted set; on a refusal, inside the set that came closest. `look` is to be kept for the next
    time (None: nothing was looked at). `next_look` is the number of audit labels at which trying again
    makes sense. `needed` estimates how many labels a success takes if errors go on as observed, None when they
    are too many for that; `needed_by_luck` if errors as observed were bad luck (the lower end of their 95 %
    interval), `needed_at_best` if no further error were met.
    """

    rows: Indices
    threshold: float
    audited: int
    wrong: int
    max_error: float
    confidence: float
    look: Look | None
    next_look: int
    needed: int | None = None
    needed_by_luck: int | None = None
    needed_at_best: int | None = None

    @property
    def refused(self) -> bool:
        """Whether no row may be labelled automatically."""
        return not len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """One set of the path: its rows without a human label, those with one, audited ones and wrong ones per look."""

    waiting: int
    labelled: int
    drawn: tuple[int, ...]
    wrong: int

    def limit(self, max_error: float, look: int) -> int:
        """The most wrong labels that may remain after this look."""
        return int(np.floor(max_error * (self.waiting - self.drawn[look]) + 1e-9))


def select(
    confidence: NDArray[np.floating],
    audited: Indices,
    wrong: NDArray[np.bool_],
    labelled: Indices,
    *,
    max_error: float,
    confidence_level: float = 0.95,
    version: str = "",
    made: Sequence[Look] = (),
    fitted: int = 0,
) -> Finish:
    """The largest share of the pool that may be labelled automatically, or a refusal.

    `confidence` has a number per pool row (NaN = no opinion); `audited` are pool rows in audit order, `wrong`
    says of each whether the model errs there or the audit was skipped; `labelled` are rows that humans
    labelled otherwise. `version` names the model, `made` are all looks so far. Only declared looks count: the
    labels after the last declared count are left for the next look. The first `fitted` audit labels make the
    confidences (see `selector`): their rows leave the pool and prove nothing, and until there are more of them
    nothing is looked at.
    """
    _check(audited, wrong, labelled, max_error, confidence_level)
    count = declared(len(audited))
    if count <= fitted:
        return _refusal(max_error, confidence_level, None, following(max(count, fitted)))
    earlier = [look for look in made if look != Look(count, version)]
    if any(look.audited >= count for look in earlier):
        return _refusal(max_error, confidence_level, None, following(len(audited)))
    counts, before = _same_model(earlier, version)
    counts = [*counts, count]
    budgets = [(1.0 - confidence_level) * (spent(one) - spent(before)) for one in counts]

    free = np.ones(len(confidence), bool)
    free[labelled] = False
    confidence = confidence.astype(np.float64)
    confidence[audited[:fitted]] = np.nan
    path = make_path(np.where(free, confidence, np.nan), max_error if fitted else None)
    best: tuple[int, _Set] | None = None
    failed: list[tuple[_Set, list[float]]] = []
    risk = 0.0
    for place, (threshold, entry) in enumerate(zip(path.thresholds, path.entries, strict=True)):
        risk += entry
        if risk == 0.0:
            continue
        found = _set(confidence >= threshold, free, audited, wrong, counts)
        shares = [share for share in path.shares if share >= risk - 1e-9]
        if found.wrong <= _boundary(found, max_error, shares, budgets):
            best = place, found
            continue
        failed.append((found, shares))
        risk = 0.0
    look, later = Look(count, version), following(count)
    if best is None:
        refusal = _refusal(max_error, confidence_level, look, later)
        estimates = [_estimate(refusal, one, shares, (before, fitted, count)) for one, shares in failed]
        return min(estimates, key=_still_needed, default=refusal)
    threshold = float(path.thresholds[best[0]])
    rest = free & (confidence >= threshold)
    rest[audited] = False
    return Finish(
        rows=np.flatnonzero(rest).astype(np.int64),
        threshold=threshold,
        audited=best[1].drawn[-1],
        wrong=best[1].wrong,
        max_error=max_error,
        confidence=confidence_level,
        look=look,
        next_look=later,
    )


def _same_model(earlier: Sequence[Look], version: str) -> tuple[list[int], int]:
    """The counts of the latest looks at this very model, and the last count at any other."""
    others = [place for place, look in enumerate(earlier) if look.version != version]
    last = others[-1] if others else -1
    return [look.audited for look in earlier[last + 1 :]], earlier[last].audited if others else 0


def _refusal(max_error: float, confidence: float, look: Look | None, next_look: int) -> Finish:
    nobody = np.zeros(0, np.int64)
    return Finish(nobody, float("nan"), 0, 0, max_error, confidence, look, next_look)


def _set(
    accepted: NDArray[np.bool_],
    free: NDArray[np.bool_],
    audited: Indices,
    wrong: NDArray[np.bool_],
    counts: Sequence[int],
) -> _Set:
    inside = accepted[audited[: counts[-1]]]
    return _Set(
        waiting=int((accepted & free).sum()),
        labelled=int((accepted & ~free).sum()),
        drawn=tuple(int(inside[:count].sum()) for count in counts),
        wrong=int(wrong[: counts[-1]][inside].sum()),
    )


def _boundary(found: _Set, max_error: float, shares: Sequence[float], budgets: Sequence[float]) -> int:
    """The most wrong audit labels with which the set passes at the last of its looks; see the head of the file.

    `budgets` are what may be spent up to each look, `shares` the parts of them for which the set may be tested.
    """
    pool = found.waiting + found.labelled
    left = tuple(found.limit(max_error, look) for look in range(len(budgets)))
    lowest = found.drawn[-1]
    for share in shares:
        limits: tuple[int, ...] = ()
        for look, budget in enumerate(budgets):
            upto = look + 1
            limits = (*limits, boundary(pool, left[:upto], found.drawn[:upto], limits, share * budget))
        # A set may be tested with a small share of the risk at one look and a larger one at another: what
        # passes with the small one must be among what passes with the large one.
        lowest = min(lowest, limits[-1])
    return lowest


def _still_needed(refusal: Finish) -> tuple[float, ...]:
    """As observed, then if that was bad luck, then at best."""
    return tuple(one or np.inf for one in (refusal.needed, refusal.needed_by_luck, refusal.needed_at_best))


def _estimate(
    refusal: Finish, closest: _Set, shares: Sequence[float], counts: tuple[int, int, int]
) -> Finish:
    """The refusal with the audit labels that this set takes to pass: as observed so far, by luck, and at best.

    `counts` are audit labels: at the last look at another model, spent on the confidences, and now.
    """
    before, fitted, count = counts
    drawn_now, wrong_now = closest.drawn[-1], closest.wrong
    share = drawn_now / (count - fitted)  # the fitted ones could not be drawn
    observed = Rate(wrong_now, drawn_now)
    needed: int | None = None
    by_luck: int | None = None
    at_best: int | None = None
    later = count
    while needed is None:
        later = following(later)
        drawn = int(share * (later - fitted))
        if not 0 < drawn < closest.waiting:
            break
        then = _Set(closest.waiting, closest.labelled, (drawn,), 0)
        budget = (1.0 - refusal.confidence) * (spent(later) - spent(before))
        most = _boundary(then, refusal.max_error, shares, [budget])
        if at_best is None and wrong_now <= most:
            at_best = later
        if by_luck is None and max(wrong_now, round(observed.interval[0] * drawn)) <= most:
            by_luck = later
        if round(observed.share * drawn) <= most:
            needed = later
    return replace(
        refusal,
        audited=drawn_now,
        wrong=wrong_now,
        needed=needed,
        needed_by_luck=by_luck,
        needed_at_best=at_best,
    )


def _check(
    audited: Indices,
    wrong: NDArray[np.bool_],
    labelled: Indices,
    max_error: float,
    confidence_level: float,
) -> None:
    if len(audited) != len(wrong):
        raise ValueError(f"{len(audited)} audited rows, {len(wrong)} verdicts")
    if len(np.unique(audited)) < len(audited) or len(np.intersect1d(audited, labelled)):
        raise ValueError("a row is audited twice, or audited and labelled otherwise")
    if not (0.0 < max_error < 1.0 and 0.5 < confidence_level < 1.0):
        raise ConfigurationError(
            f"the largest error ({max_error}) must lie between 0 and 1, the confidence ({confidence_level}) "
            "between 0.5 and 1"
        )
