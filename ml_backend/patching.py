"""Patches of a teacher's prompt behind a gate: each is tried on the gold texts, and ships only when it wins there.

The gold texts are asked with the prompt in force and with the new one. Every answer is kept under the fingerprint
of its prompt: a trial that is repeated, or was killed, pays for nothing twice, and what wins is in force at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import redis

from ale.errors import BudgetReached, TeacherUnavailable
from ale.patches import GoldSet, Judgement, freeze_gold, gate
from ale.teachers.llm.prompt import load_prompt
from ale.teachers.llm.teacher import prompt_fingerprint
from ale.text import text_hash
from ale.trust import words
from ale.types import Example, Probs
from ml_backend.asking import Questions, ask
from ml_backend.patch_candidates import Proposals, found, given
from ml_backend.patch_cost import Estimate
from ml_backend.patches import Told, with_patch
from ml_backend.picking import GOLD_TEXTS
from ml_backend.shots import is_gold, labelled_texts, left_out_tasks
from ml_backend.store import mirror, patches, replies, trials
from ml_backend.store.schema import PromptPatch, Reply
from ml_backend.teach import Teaching, turn
from ml_backend.teachers import NamedTeacher, llm_options

ALPHA = 0.05
"""Chance that the first patch ships by luck; each further one on the same question gets its part of it."""
LEAST_GOLD = 20
"""With fewer gold texts even a good patch could hardly be told from luck."""
NOTHING_TO_TRY = (
    "nothing to try: no two labels are confused three times on texts that people have settled, or the like was "
    'tried before. With a hint of your own: --hint "LABEL=TEXT"'
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trial: what the gate found, or why it was not asked. `texts` were asked now, at `tokens` and `usd`.

    `usd` is None where no price is known.
    """

    patch: PromptPatch
    judgement: Judgement | None = None
    reason: str = ""
    texts: int = 0
    tokens: int = 0
    usd: float | None = 0.0


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

    def plan(self) -> Plan:
        """What a run would do. Asks and pays nothing. Raises ConfigurationError for an impossible hint."""
        now = self.teaching.told(self.teacher)
        gold = self.gold(now)
        proposals = self._proposals(now, gold, write=False)
        told = [now, *(self._with(now, patch) for patch in proposals.patches)]
        to_write = len(proposals.unwritten)
        problem = self._too_few(gold)
        if not problem and len(told) + to_write == 1:
            problem = NOTHING_TO_TRY
        if problem:
            return Plan(proposals, len(gold), 0, 0, 0.0, problem)
        missing = [[name for name in gold.hashes if name not in self._known(one, gold)] for one in told]
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
            gold = self.gold(now)
            if problem := self._too_few(gold):
                return Tried((), problem)
            try:
                proposals = self._proposals(now, gold, write=True)
                if not proposals.patches:
                    return Tried((), NOTHING_TO_TRY)
                for patch in proposals.patches:
                    outcome = self._try(now, patch)
                    outcomes.append(outcome)
                    tell(outcome)
                    if patch.state == "shipped":
                        now = self._with(now, patch)
            except TeacherUnavailable as error:
                return Tried(tuple(outcomes), str(error))
        return Tried(tuple(outcomes))

    def gold(self, *told: Told) -> GoldSet:
        """The gold texts: the first ones by hash, which trust is measured on too; none that any prompt shows."""
        dataset, key = self.teaching.dataset(), self.teaching.project.key
        human = {h.text_hash: h.label for h in labelled_texts(dataset, left_out_tasks(self.teaching.db, key))}
        shown = {text_hash(s.text) for one in told for s in (*one.shots.standing, *one.shots.pool)}
        every = freeze_gold(human, shown, reserved=partial(is_gold, key))
        return GoldSet(every.hashes[:GOLD_TEXTS], every.labels[:GOLD_TEXTS])

    # -- the trial -----------------------------------------------------------------------------------

    def _try(self, now: Told, patch: PromptPatch) -> Outcome:
        """The patch judged on the gold texts, and what comes of it. Raises TeacherUnavailable."""
        new = self._with(now, patch)
        before, after = self._fingerprint(now), self._fingerprint(new)
        if before == after:
            return Outcome(patch, reason="the teacher is told so already")
        gold = self.gold(now, new)
        tries = self._tries(patch)
        paid: list[Reply] = []
        old = self._answers(now, gold, paid, in_force=True)
        wrong = int((words(old) != np.array(gold.labels)).sum())
        needed = _fewest(ALPHA / tries)
        if wrong < needed:
            return _outcome(
                patch,
                paid,
                reason=f"the teacher has only {wrong} of {len(gold)} gold texts wrong, and a patch must mend "
                f"{needed} at least to be told from luck: label more, or leave the prompt as it is",
            )
        answers = self._answers(new, gold, paid)
        judged = gate(old, answers, np.array(gold.labels), alpha=ALPHA, tries=tries)
        self._decide(patch, judged, before, after)
        return _outcome(patch, paid, judged)

    def _answers(self, told: Told, gold: GoldSet, paid: list[Reply], *, in_force: bool = False) -> Probs:
        """What the teacher says of the gold texts when it is told this; what is missing is asked and paid.

        `in_force`: answers to texts that have none yet are answers like all others, at once.
        """
        teaching, teacher = self.teaching, self.teacher
        db, prompt, question = teaching.db, self._fingerprint(told), replies.question_of(teaching.space)
        texts = mirror.texts(db, teaching.project.key, gold.hashes)
        while True:
            known = self._known(told, gold)
            missing = [name for name in gold.hashes if name not in known]
            if not missing:
                break
            kept_under = prompt
            if in_force and (fresh := set(missing) - replies.asked(db, teacher.name, question)):
                missing, kept_under = sorted(fresh), question
            vectors, _ = teaching.learning.cache.lookup(missing)
            questions = Questions(
                project=teaching.project.key,
                space=teaching.space,
                examples=[Example(i, texts[name], name) for i, name in enumerate(missing)],
                vectors=vectors,
                shots=told.shots,
                told=told.space,
                kept_under=kept_under,
            )
            over = teaching.wanted_elsewhere
            done = ask(teaching.settings, db, teaching.redis_url, teacher, questions, over)
            paid += replies.rows(db, teacher.name, kept_under, missing)
            if done.stopped is not None and not (isinstance(done.stopped, BudgetReached) and done.answered):
                raise done.stopped
            if not done.answered:
                raise TeacherUnavailable(
                    "stopped; what was answered is kept, and a new run goes on from there"
                )
        if in_force:
            with db.session() as session:
                trials.adopt(session, teacher.name, question, prompt)
        return trials.as_probs(known, gold.hashes, len(teaching.space))

    def _decide(self, patch: PromptPatch, judged: Judgement, before: str, after: str) -> None:
        """The verdict, and with a patch that ships its answers to the gold texts, in one transaction."""
        question, name = replies.question_of(self.teaching.space), self.teacher.name
        with self.teaching.db.session() as session:
            if not patch.id:
                patches.add_in(session, patch)
            patches.change_in(
                session,
                patch,
                state="shipped" if judged.ships else "rolled_back",
                question=question,
                before=before,
                after=after,
                gold=judged.n,
                old_right=judged.old_right,
                new_right=judged.new_right,
                wins=judged.fixed,
                losses=judged.broken,
                p_value=judged.p_value,
                level=judged.level,
                decided_at=datetime.now(UTC),
            )
            if judged.ships:
                trials.adopt(session, name, question, after)

    # -- what is known -------------------------------------------------------------------------------

    def _proposals(self, now: Told, gold: GoldSet, *, write: bool) -> Proposals:
        if self.hints:
            return given(self.teaching, self.teacher, self.hints)
        return found(self.teaching, self.teacher, now, len(gold), write=write, pairs=self.pairs)

    def _with(self, now: Told, patch: PromptPatch) -> Told:
        return with_patch(self.teaching.db, now, patch)

    def _fingerprint(self, told: Told) -> str:
        prompt, options = load_prompt(self.teacher.prompt), llm_options(self.teaching.settings)
        return prompt_fingerprint(prompt, told.space, options, told.shots)

    def _known(self, told: Told, gold: GoldSet) -> dict[str, Reply]:
        question = replies.question_of(self.teaching.space)
        prompt = self._fingerprint(told)
        return trials.answers_to(self.teaching.db, self.teacher.name, question, prompt, gold.hashes)

    def _tries(self, patch: PromptPatch) -> int:
        """Patches that were judged by this question, this one included."""
        past = patches.every(self.teaching.db, self.teaching.project.key, self.teacher.name)
        question = replies.question_of(self.teaching.space)
        return 1 + sum(
            p.state in patches.JUDGED and p.question == question and p.id != patch.id for p in past
        )

    def _too_few(self, gold: GoldSet) -> str:
        if len(gold) >= LEAST_GOLD:
            return ""
        return (
            f"{len(gold)} gold texts are too few to judge a prompt by, it takes {LEAST_GOLD}: about a fifth of "
            f"what people label is kept as gold, so label about {5 * (LEAST_GOLD - len(gold))} texts more"
        )


def _outcome(
    patch: PromptPatch, paid: Sequence[Reply], judgement: Judgement | None = None, reason: str = ""
) -> Outcome:
    tokens = sum(row.prompt_tokens + row.completion_tokens for row in paid)
    return Outcome(patch, judgement, reason, len(paid), tokens, _usd(paid))


def _usd(paid: Sequence[Reply]) -> float | None:
    costs = [row.usd for row in paid if row.usd is not None]
    return sum(costs) if len(costs) == len(paid) else None


def _fewest(level: float) -> int:
    """The fewest texts that a patch must mend, breaking none, to be below that level."""
    return math.floor(-math.log2(level)) + 1
