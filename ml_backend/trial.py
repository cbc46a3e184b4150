"""One trial of a patch: the gold texts are asked with the prompt in force and with the new one, and the gate decides.

Every answer is kept under the fingerprint of its prompt: a trial that is repeated, or was killed, pays for nothing
twice, and what wins is in force at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from ale.errors import BudgetReached, TeacherUnavailable
from ale.patches import GoldSet, Judgement, freeze_gold, gate
from ale.teachers.llm.prompt import load_prompt
from ale.teachers.llm.teacher import prompt_fingerprint
from ale.text import text_hash
from ale.trust import words
from ale.types import Example, Probs
from ml_backend.asking import Questions, ask
from ml_backend.patches import Told, with_patch
from ml_backend.picking import GOLD_TEXTS
from ml_backend.shots import is_gold, labelled_texts, left_out_tasks
from ml_backend.store import mirror, patches, replies, trials
from ml_backend.store.schema import PromptPatch, Reply
from ml_backend.teach import Teaching
from ml_backend.teachers import NamedTeacher, llm_options

ALPHA = 0.05
"""Chance that the first patch ships by luck; each further one on the same question gets its part of it."""


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
class Trials:
    """Tries patches of one teacher's prompt in one project. For whoever has the teacher's turn."""

    teaching: Teaching
    teacher: NamedTeacher

    def gold(self, *told: Told) -> GoldSet:
        """The gold texts: the first ones by hash, which trust is measured on too; none that any prompt shows."""
        dataset, key = self.teaching.dataset(), self.teaching.project.key
        human = {h.text_hash: h.label for h in labelled_texts(dataset, left_out_tasks(self.teaching.db, key))}
        shown = {text_hash(s.text) for one in told for s in (*one.shots.standing, *one.shots.pool)}
        every = freeze_gold(human, shown, reserved=partial(is_gold, key))
        return GoldSet(every.hashes[:GOLD_TEXTS], every.labels[:GOLD_TEXTS])

    def known(self, told: Told, gold: GoldSet) -> dict[str, Reply]:
        """The answers to gold texts that were given to just this, by text."""
        question = replies.question_of(self.teaching.space)
        prompt = self._fingerprint(told)
        return trials.answers_to(self.teaching.db, self.teacher.name, question, prompt, gold.hashes)

    def judge(self, now: Told, patch: PromptPatch) -> Outcome:
        """The patch judged on the gold texts, and what comes of it. Raises TeacherUnavailable."""
        new = with_patch(self.teaching.db, now, patch)
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
        db, name, question = self.teaching.db, self.teacher.name, replies.question_of(self.teaching.space)
        known = self.known(told, gold)
        while missing := [text for text in gold.hashes if text not in known]:
            fresh = sorted(set(missing) - replies.asked(db, name, question)) if in_force else []
            self._ask(told, fresh or missing, question if fresh else self._fingerprint(told))
            before, known = known, self.known(told, gold)
            paid += [row for text, row in known.items() if text not in before]
            if len(known) == len(before):
                raise TeacherUnavailable(
                    "stopped; what was answered is kept, and a new run goes on from there"
                )
        if in_force:
            with db.session() as session:
                trials.adopt(session, name, question, self._fingerprint(told))
        return trials.as_probs(known, gold.hashes, len(self.teaching.space))

    def _ask(self, told: Told, hashes: list[str], kept_under: str) -> None:
        """Ask about these texts until the budget, the teacher or a person ends it. Raises TeacherUnavailable."""
        teaching = self.teaching
        texts = mirror.texts(teaching.db, teaching.project.key, hashes)
        hashes = [name for name in hashes if name in texts]  # a task may have gone meanwhile
        vectors, _ = teaching.learning.cache.lookup(hashes)
        questions = Questions(
            project=teaching.project.key,
            space=teaching.space,
            examples=[Example(i, texts[name], name) for i, name in enumerate(hashes)],
            vectors=vectors,
            shots=told.shots,
            told=told.space,
            kept_under=kept_under,
        )
        over = teaching.wanted_elsewhere
        done = ask(teaching.settings, teaching.db, teaching.redis_url, self.teacher, questions, over)
        # Calls that were cheaper than reserved may have left room for more.
        if done.stopped is not None and not (isinstance(done.stopped, BudgetReached) and done.answered):
            raise done.stopped

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

    def _fingerprint(self, told: Told) -> str:
        prompt, options = load_prompt(self.teacher.prompt), llm_options(self.teaching.settings)
        return prompt_fingerprint(prompt, told.space, options, told.shots)

    def _tries(self, patch: PromptPatch) -> int:
        """Patches that were judged by this question, this one included."""
        past = patches.every(self.teaching.db, self.teaching.project.key, self.teacher.name)
        question = replies.question_of(self.teaching.space)
        return 1 + sum(
            p.state in patches.JUDGED and p.question == question and p.id != patch.id for p in past
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
