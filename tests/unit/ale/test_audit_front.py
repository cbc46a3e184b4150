"""A pool that grows keeps its figures: they speak of the texts that the audit has caught up with, and are right there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.audit.finish import Look, select
from ale.audit.front import Reach, advance, front, needed
from ale.audit.intervals import clopper_pearson
from ale.audit.reserve import RESERVE
from ale.chance import Rate
from ale.types import Indices

OLD, BEGUN, UPTO = 1_000, 100, 260
"""Texts at first; audits before more come, and at the end."""
HARDER = (0.1, 0.5)
"""Share of errors among old and among new texts."""

Arrivals = Callable[[int], int]
ARRIVALS: dict[str, Arrivals] = {
    "one": lambda done: int(done == BEGUN),
    "a few": lambda done: 60 * (done == BEGUN),
    "stream": lambda _: 2,
    "waves": lambda done: 200 * (done % 40 == 0),
    "ten times as many": lambda done: 10 * OLD * (done == BEGUN),
}


@dataclass(slots=True)
class Pool:
    """Texts in the order in which they came, and an audit that serves them as a project does."""

    rng: np.random.Generator
    reach: Reach | None = None
    places: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    wrong: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    shown: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def come(self, count: int, errors: float) -> None:
        """New texts, so many of them wrong."""
        self.places = np.append(self.places, self.rng.random(count))
        self.wrong = np.append(self.wrong, self.rng.random(count) < errors)
        self.shown = np.append(self.shown, np.zeros(count, bool))

    @property
    def ids(self) -> Indices:
        """From 1 on."""
        return np.arange(1, len(self.places) + 1, dtype=np.int64)

    @property
    def reserved(self) -> NDArray[np.bool_]:
        """Texts that may be audited."""
        return self.places < RESERVE

    def look(self) -> None:
        """As every learn run does."""
        self.reach = advance(self.reach, self.ids, self.places, self.reserved, self.shown)

    def answer(self) -> None:
        """One audit."""
        assert self.reach is not None
        waiting = np.flatnonzero(self.reserved & ~self.shown)
        if len(waiting):
            first = np.lexsort((self.places[waiting], self.ids[waiting] > self.reach.later))[0]
            self.shown[waiting[first]] = True

    @property
    def spoken_of(self) -> NDArray[np.bool_]:
        """Texts that the audit speaks of."""
        assert self.reach is not None
        return self.ids <= self.reach.upto

    @property
    def front(self) -> Indices:
        """Audits that measure."""
        rows = np.flatnonzero(self.spoken_of & self.reserved)
        return rows[front(self.places[rows], self.shown[rows])]


def history(seed: int, arrivals: Arrivals) -> Iterator[Pool]:
    """The pool after each audit."""
    pool = Pool(np.random.default_rng(seed))
    pool.come(OLD, HARDER[0])
    for done in range(UPTO + 1):
        if done >= BEGUN and (more := arrivals(done)):
            pool.come(more, HARDER[1])
        pool.look()
        yield pool
        pool.answer()


def test_the_front_ends_at_the_first_that_nobody_has_answered() -> None:
    """In the order of places."""
    places = np.array([0.3, 0.1, 0.2, 0.4])
    assert front(places, np.array([True, True, True, False])).tolist() == [1, 2, 0]
    assert front(places, np.array([True, True, False, True])).tolist() == [1]
    assert front(places, np.zeros(4, bool)).tolist() == []
    assert front(np.zeros(0), np.zeros(0, bool)).tolist() == []


@pytest.mark.parametrize(
    ("length", "new", "pool", "audits"),
    [
        (400, 0, 5_000, 0),
        (0, 100, 5_000, 0),
        (400, 1, 5_001, 1),
        (400, 100, 5_100, 17),
        (400, 50_000, 55_000, 421),
    ],
)
def test_what_it_takes_to_catch_up(length: int, new: int, pool: int, audits: int) -> None:
    """The share of the front that is the new texts' due, and three standard errors."""
    assert needed(length, new, pool) == audits


def test_before_the_first_audit_all_texts_belong_to_the_pool() -> None:
    """An import in several files is one pool."""
    pool = Pool(np.random.default_rng(0))
    for count in (10, 1, 200):
        pool.come(count, 0.1)
        pool.look()
        assert pool.reach == Reach(len(pool.places), len(pool.places), 0)


@pytest.mark.parametrize("arrivals", ARRIVALS.values(), ids=ARRIVALS)
def test_figures_stay_and_the_audit_catches_up(arrivals: Arrivals) -> None:
    """No audit is lost at any time, and in the end nearly all texts are spoken of."""
    lengths = []
    for pool in history(1, arrivals):
        lengths.append(len(pool.front))
    assert min(np.diff(lengths)) >= 0
    assert lengths[-1] > BEGUN
    assert pool.spoken_of.mean() > 0.85


def test_an_import_alone_moves_nothing() -> None:
    """Learn runs without an answer between them, however many: the figures are those of before."""
    pool = next(one for done, one in enumerate(history(2, lambda _: 0)) if done == BEGUN)
    before = pool.front.tolist()
    for count in (1, 7, 200, 5_000):
        pool.come(count, HARDER[1])
        for _ in range(3):
            pool.look()
        assert pool.front.tolist() == before
    assert pool.reach == Reach(OLD, OLD + 1, BEGUN + needed(BEGUN, 1, OLD + 1))


def test_a_task_that_somebody_holds_open_is_waited_for() -> None:
    """The new texts are not counted in before it is answered: the front would end there."""
    pool = next(one for done, one in enumerate(history(3, lambda _: 0)) if done == BEGUN)
    pool.come(400, HARDER[1])
    pool.look()
    held = OLD + int(pool.places[OLD:].argmin())
    pool.shown[held] = True  # nobody else gets it
    for _ in range(120):
        pool.answer()
    pool.shown[held] = False
    pool.look()
    due = BEGUN + needed(BEGUN, 400, OLD + 400)
    assert (pool.reach, len(pool.front)) == (Reach(OLD, OLD + 400, due), BEGUN + 120 - _of_new(pool))
    pool.shown[held] = True
    pool.look()
    assert pool.reach == Reach(OLD + 400, OLD + 400, due)


def _of_new(pool: Pool) -> int:
    return int(pool.shown[OLD:].sum())


def test_where_the_reserve_is_used_up_nothing_is_waited_for() -> None:
    """There are no audits any more that could be answered."""
    pool = Pool(np.random.default_rng(4))
    pool.come(100, 0.1)
    pool.look()
    pool.shown |= pool.reserved
    pool.come(10, 0.1)
    pool.look()
    pool.shown |= pool.reserved
    pool.look()
    assert pool.reach is not None
    assert pool.reach.upto == 110


@pytest.mark.parametrize("arrivals", ARRIVALS.values(), ids=ARRIVALS)
def test_intervals_hold_whatever_comes(arrivals: Arrivals) -> None:
    """Of 60 pools whose new texts are much harder, the interval covers the errors of what it speaks of in 95 %, by luck
    in a little less. Asked just when more came, a little later and at the end; there is no bias on the way.
    """
    asked = (BEGUN + 1, BEGUN + 13, UPTO)
    held, off = [], []
    for seed in range(60):
        for done, pool in enumerate(history(seed, arrivals)):
            if done in asked:
                met, truth = pool.wrong[pool.front], float(pool.wrong[pool.spoken_of].mean())
                low, high = clopper_pearson(Rate(int(met.sum()), len(met)))
                held.append(low <= truth <= high)
                off.append(float(met.mean()) - truth)
    assert np.mean(held) >= 0.9
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(len(off) / len(asked))


# A refusal estimates what far more audits would do, nearly the whole small pool; there `boundary` finds no number.
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("name", ["stream", "ten times as many"])
def test_a_finish_labels_what_it_has_measured_and_nothing_else(name: str) -> None:
    """Tried after every 25 audits since new texts came, half of which would get a wrong label: 40 % are promised.

    The old texts keep that promise easily; where the new ones are most of the pool, it is broken by whoever labels
    them on the evidence of the old ones.
    """
    broken = succeeded = 0
    for seed in range(12):
        made: list[Look] = []
        sure = np.random.default_rng((seed, 1)).uniform(0.5, 1.0, 12 * OLD)
        for done, pool in enumerate(history(seed, ARRIVALS[name])):
            if done % 25 or done <= BEGUN:
                continue
            found = select(
                np.where(pool.spoken_of, sure[: len(pool.shown)], np.nan),
                pool.front,
                pool.wrong[pool.front],
                np.setdiff1d(np.flatnonzero(pool.shown & pool.spoken_of), pool.front),
                max_error=0.4,
                version=str(pool.spoken_of.sum()),
                made=made,
            )
            made += [found.look] if found.look is not None and found.look not in made else []
            if not found.refused:
                succeeded += 1
                broken += int(pool.wrong[found.rows].mean() > 0.4)
                assert pool.spoken_of[found.rows].all()
                break
    assert succeeded >= 6
    assert broken <= 1


def test_an_answer_that_is_taken_back_for_a_while_costs_nothing() -> None:
    """Not even the first: as soon as it is there again, the front is what it was, of the same texts."""
    ids = np.arange(1, 41)
    places = np.arange(40) / 40
    places[30:] += 0.005  # newer texts stand among the others
    reserved = np.ones(40, bool)
    old = ids <= 30
    reach = advance(None, ids[old], places[old], reserved[old], ids[old] <= 10)
    shown = ids <= 10
    reach = advance(reach, ids, places, reserved, shown)
    before = reach
    shown[0] = False
    reach = advance(reach, ids, places, reserved, shown)
    assert reach.upto == before.upto == 30
    shown[0] = True
    assert advance(reach, ids, places, reserved, shown).upto == 30
