"""Patches of a teacher's prompt behind a gate: what would be tried at what cost, and the trials one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from ale.errors import TeacherUnavailable
from ale.patches import GoldSet
from ml_backend.patch_candidates import Proposals, found, given
from ml_backend.patch_cost import Estimate
from ml_backend.patches import Told, with_patch
from ml_backend.store import batches, replies
from ml_backend.teach import Teaching, turn
from ml_backend.teachers import NamedTeacher
from ml_backend.trial import Outcome, Trials

LEAST_GOLD = 20
"""With fewer gold texts even a good patch could hardly be told from luck."""
NOTHING_TO_TRY = (
    "nothing to try: no two labels are confused three times on texts that people have settled, or the like was "
    'tried before. With a hint of your own: --hint "LABEL=TEXT"'
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be tried on how many gold texts, and about what that would cost.

    `calls` counts gold texts still to be asked, with the old prompt and with each new one, and hints to be
    written. `usd` is None where no price is known. `problem` says why nothing can be tried.
    """

    proposals: Proposals
    gold: int
    calls: int
    tokens: int
    usd: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class Tried:
    """All trials of a run, and why it ended before the last one; empty when it did not."""

    outcomes: tuple[Outcome, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Patching:
    """What a run works with. `hints` (`label=text`) are tried instead of what the `pairs` most confused pairs of
    labels suggest: contrast examples, and a hint that the model writes.
    """

    teaching: Teaching
    teacher: NamedTeacher
    hints: Sequence[str] = ()
    pairs: int = 2

    @property
    def trials(self) -> Trials:
        """How they are tried."""
        return Trials(self.teaching, self.teacher)

    def plan(self) -> Plan:
        """What a run would do. Asks and pays nothing. Raises ConfigurationError for an impossible hint."""
        now = self.teaching.told(self.teacher)
        gold = self.trials.gold(now)
        proposals = self._proposals(now, gold, write=False)
        told = [now, *(with_patch(self.teaching.db, now, patch) for patch in proposals.patches)]
        to_write = len(proposals.unwritten)
        problem = self._too_few(gold)
        if not problem and len(told) + to_write == 1:
            problem = NOTHING_TO_TRY
        if problem:
            return Plan(proposals, len(gold), 0, 0, 0.0, problem)
        missing = [[name for name in gold.hashes if name not in self.trials.known(one, gold)] for one in told]
        # A hint that is still to be written makes a prompt about as long as the one in force.
        told += to_write * [now]
        missing += to_write * [list(gold.hashes)]
        cost = Estimate(self.teaching, self.teacher).of(list(zip(told, missing, strict=True)))
        calls = sum(map(len, missing)) + to_write
        return Plan(proposals, len(gold), calls, cost.tokens, cost.usd, "")

    def run(self, tell: Callable[[Outcome], None] = lambda _: None) -> Tried:
        """Write hints where it serves, and try one patch after the other; what ships is the base of the next.

        A run that is stopped, out of budget or without an answer says so; repeated, it goes on.
        """
        teaching, outcomes = self.teaching, list[Outcome]()
        what = f"{self.teacher.name}:{replies.question_of(teaching.space)}"
        with (
            redis.Redis.from_url(teaching.redis_url, socket_timeout=5) as connection,
            turn(connection, what, teaching.wanted_elsewhere) as mine,
        ):
            if not mine:
                return Tried((), "stopped before it began")
            now = teaching.told(self.teacher)
            gold = self.trials.gold(now)
            if problem := self._too_few(gold) or self._in_batch(gold):
                return Tried((), problem)
            try:
                proposals = self._proposals(now, gold, write=True)
                if not proposals.patches:
                    return Tried((), NOTHING_TO_TRY)
                for patch in proposals.patches:
                    outcome = self.trials.judge(now, patch)
                    outcomes.append(outcome)
                    tell(outcome)
                    if patch.state == "shipped":
                        now = with_patch(self.teaching.db, now, patch)
            except TeacherUnavailable as error:
                return Tried(tuple(outcomes), str(error))
        return Tried(tuple(outcomes))

    def _proposals(self, now: Told, gold: GoldSet, *, write: bool) -> Proposals:
        if self.hints:
            return given(self.teaching, self.teacher, self.hints)
        return found(self.teaching, self.teacher, now, len(gold), write=write, pairs=self.pairs)

    def _too_few(self, gold: GoldSet) -> str:
        if len(gold) >= LEAST_GOLD:
            return ""
        return (
            f"{len(gold)} gold texts are too few to judge a prompt by, it takes {LEAST_GOLD}: about a fifth of "
            f"what people label is kept as gold, so label about {5 * (LEAST_GOLD - len(gold))} texts more"
        )

    def _in_batch(self, gold: GoldSet) -> str:
        n = len(batches.in_flight(self.teaching.db, self.teacher.name).intersection(gold.hashes))
        return f"{n} gold texts are being asked in a batch: try again when it is back" if n else ""
