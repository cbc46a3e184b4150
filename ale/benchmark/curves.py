"""Learning curves: for each method and seed, how good the student is on the test split after n labels.

A run is the live loop: the strategy asks for a batch, the oracle answers, the engine learns, and so on. The
test split is only ever predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ale.benchmark.peers import PEERS, PeerInput, resolve_peers
from ale.benchmark.points import AuditDraw, Outcome, Point, draw_audit, measure
from ale.benchmark.tuned import Tunable, outcome_of_tuned, quick
from ale.engine import Learned, LearnInput, learn
from ale.errors import ConfigurationError, NotEnoughLabels
from ale.features import FeatureSpace
from ale.predictor import Predictor
from ale.simulate import Round, rounds
from ale.strategies import DEFAULT_STRATEGY, STRATEGIES, resolve_strategy
from ale.students import DEFAULT_STUDENT, resolve_student
from ale.students.transformer import TransformerStudent
from ale.types import Embeddings, LabelSpace, Probs

DEFAULT = "ale"
"""The method with the committed defaults."""

WITHOUT = "-without-teacher"
"""What follows a method's name when it is run without the teacher that there is."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is compared: a strategy, a student, and whether the teacher is heard; or a peer with its own loop."""

    name: str
    strategy: str
    student: str
    teacher: bool
    peer: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """The data set as the engine sees it: raw embeddings, gold labels, the teacher's answers on the pool.

    `tunable` are the texts and what tunes an encoder on them, for the transformer student.
    """

    labels: LabelSpace
    pool: Embeddings
    gold: NDArray[np.int64]
    groups: NDArray[np.int64]
    test: Embeddings
    test_gold: NDArray[np.int64]
    teacher: Probs | None = None
    tunable: Tunable | None = None


def methods(
    strategies: Sequence[str], students: Sequence[str], *, teacher: bool, peers: Sequence[str] = ()
) -> list[Method]:
    """`ale`, then each strategy with each student; with a teacher each of them also without it; then the peers.

    Raises UnknownName, and MissingExtra for a peer that is not installed. Only with several students does a
    method's name tell which (`margin+linear`).
    """
    others = [Method(name, "its own", "its own", teacher=False, peer=True) for name in resolve_peers(peers)]
    kinds = list(dict.fromkeys(students)) or [DEFAULT_STUDENT]
    plain = [Method(DEFAULT, DEFAULT_STRATEGY, DEFAULT_STUDENT, teacher)]
    for strategy in dict.fromkeys(strategies):
        resolve_strategy(strategy)
        for kind in kinds:
            resolve_student(quick(kind))
            name = strategy if len(kinds) == 1 else f"{strategy}+{kind}"
            plain.append(Method(name, strategy, kind, teacher))
    if not teacher:
        return plain + others
    # A tuning costs minutes, and hears the teacher through the hybrid student only.
    both = [
        [m]
        if m.student == TransformerStudent.kind
        else [m, replace(m, name=f"{m.name}{WITHOUT}", teacher=False)]
        for m in plain
    ]
    return [one for pair in both for one in pair] + others


def curve(
    data: Arrays,
    method: Method,
    seed: int,
    budgets: Sequence[int],
    batch: int,
    progress: Callable[[int], None] | None = None,
    audit: int = 0,
) -> Iterator[Point]:
    """A point per budget; with a teacher also one at 0 labels, for the student of the teacher alone.

    `audit` rows of the pool are drawn beforehand: nothing is trained on them, they measure and calibrate.
    The budgets must leave room for them.
    """
    drawn = draw_audit(audit, data.groups, seed)
    teacher = data.teacher if method.teacher else None
    wanted = set(budgets) | ({0} if teacher is not None else set())
    at = stops(budgets, len(data.gold) - int(drawn.reserved.sum()), batch, method)
    outcomes = (
        _of_peer(data, method, seed, at, drawn)
        if method.peer
        else _of_ours(data, method, seed, at, drawn, wanted)
    )
    done = 0
    for outcome in outcomes:
        n = outcome.labels
        if progress is not None and n > done:
            progress(n - done)
        done = n
        if n in wanted:
            yield measure(method.name, seed, outcome, data.test_gold, data.gold[drawn.rows])


def stops(budgets: Sequence[int], pool: int, batch: int, method: Method) -> list[int]:
    """Numbers of labels at which a method learns: every budget up to the pool, and at most `batch` apart.

    A random order does not depend on what was learnt, so there the budgets suffice.
    """
    rising = method.peer or STRATEGIES[method.strategy] is not STRATEGIES["random"]
    found = [0]
    for budget in sorted({min(budget, pool) for budget in budgets}):
        if rising:
            found.extend(range(found[-1] + batch, budget, batch))
        if budget > found[-1]:
            found.append(budget)
    return found


def full_data(data: Arrays, student: str) -> Point:
    """The student of all gold labels of the pool, without a teacher: the yardstick of n95."""
    everything = np.arange(len(data.gold), dtype=np.int64)
    learned = learn(
        LearnInput(
            raw=data.pool,
            labelled=everything,
            targets=data.gold,
            labels=data.labels,
            strategy=resolve_strategy("random"),
            student=resolve_student(quick(student)),
            groups=data.groups,
            review=False,
        )
    )
    if learned.predictor is None:
        raise NotEnoughLabels(learned.reasons["student"], "the pool's gold labels make no student")
    nobody = draw_audit(0, data.groups, 0)
    outcome = _outcome(learned, _Believer.of(learned.predictor), len(everything), data, nobody)
    return measure("full data", 0, outcome, data.test_gold)


@dataclass(frozen=True, slots=True, eq=False)
class _Believer:
    """Logits before calibration for raw embeddings, and the temperature that belongs to them."""

    logits: Callable[[Embeddings], NDArray[np.float64]]
    temperature: float = 1.0

    @classmethod
    def of(cls, predictor: Predictor) -> _Believer:
        student, space = predictor.student, predictor.space
        return cls(lambda raw: student.logits(space.transform(raw)), predictor.temperature)


def _of_ours(
    data: Arrays, method: Method, seed: int, at: Sequence[int], audit: AuditDraw, wanted: Container[int]
) -> Iterator[Outcome]:
    teacher = data.teacher if method.teacher else None
    for turn in _rounds(data, method, seed, at, audit, teacher):
        tuned: Outcome | str | None = None
        if method.student == TransformerStudent.kind and len(turn.labelled) in wanted:
            tuned = _of_tuned(data, turn, seed, audit, teacher)
        if isinstance(tuned, Outcome):
            yield tuned
            continue
        believer = _believer(turn, data, teacher, method.student)
        plain = _outcome(turn.learned, believer, len(turn.labelled), data, audit)
        yield plain if tuned is None else replace(plain, tuned_share=0.0, untuned=tuned)


def _of_tuned(data: Arrays, turn: Round, seed: int, audit: AuditDraw, teacher: Probs | None) -> Outcome | str:
    """The transformer student behind the quick one, as it would follow in the live loop; or why it does not:
    then the quick one still counts.
    """
    if data.tunable is None:
        raise ConfigurationError("the transformer student needs texts, and an encoder that can be tuned")
    return outcome_of_tuned(
        data.tunable,
        LearnInput(
            raw=data.pool,
            labelled=turn.labelled,
            targets=turn.given,
            labels=data.labels,
            strategy=resolve_strategy("random"),
            student=resolve_student(DEFAULT_STUDENT),
            groups=data.groups[turn.labelled],
            teacher=teacher,
            seed=seed,
            review=False,
        ),
        data.test,
        audit.rows,
    )


def _of_peer(
    data: Arrays, method: Method, seed: int, at: Sequence[int], audit: AuditDraw
) -> Iterator[Outcome]:
    """The peer's own loop, from the first batch of `ale` without a teacher."""
    ours = methods([], [], teacher=False)[0]
    first = next(_rounds(data, ours, seed, at, audit, None)).learned.ranking
    space = FeatureSpace.fit(data.pool)
    features, test = space.transform(data.pool), space.transform(data.test)
    asked = first.order[: first.queue]
    given = PeerInput(features, data.gold, len(data.labels), asked, audit.reserved, at[1:], seed)
    for turn in PEERS[method.name](given):
        yield Outcome(
            labels=len(turn.labelled),
            test_logits=turn.logits(test),
            audit_logits=turn.logits(features[audit.rows]),
            temperature=1.0,
            fit_seconds=turn.fit_seconds,
            learn_seconds=turn.learn_seconds,
        )


def _rounds(
    data: Arrays, method: Method, seed: int, at: Sequence[int], audit: AuditDraw, teacher: Probs | None
) -> Iterator[Round]:
    return rounds(
        data.pool,
        data.gold,
        data.labels,
        stops=at,
        strategy=resolve_strategy(method.strategy),
        student=resolve_student(quick(method.student)),
        teacher=teacher,
        groups=data.groups,
        seed=seed,
        reserved=audit.reserved,
    )


def _believer(turn: Round, data: Arrays, teacher: Probs | None, kind: str) -> _Believer:
    """Who predicts after this round. While the oracle has named one label only, there is no student: then the
    student of the teacher counts, and without a teacher the shares of the labels given so far.
    """
    if turn.learned.predictor is not None:
        return _Believer.of(turn.learned.predictor)
    space = turn.learned.space
    student = None
    if teacher is not None:
        student = resolve_student(quick(kind)).of_teacher(space.transform(data.pool), teacher)
    if student is not None:
        return _Believer.of(Predictor(student, space, temperature=1.0))
    counts = np.bincount(turn.given, minlength=len(data.labels)) + 1.0
    return _Believer(lambda raw: np.tile(np.log(counts / counts.sum()), (len(raw), 1)))


def _outcome(learned: Learned, believer: _Believer, labels: int, data: Arrays, audit: AuditDraw) -> Outcome:
    return Outcome(
        labels=labels,
        test_logits=believer.logits(data.test),
        audit_logits=believer.logits(data.pool[audit.rows]),
        temperature=believer.temperature,
        fit_seconds=learned.metrics["seconds_fit"],
        learn_seconds=sum(s for name, s in learned.metrics.items() if name.startswith("seconds_")),
    )
