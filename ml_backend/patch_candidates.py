"""Patches that are worth a trial: from what a person gave, or from what the teacher said and people settled.

Nothing here looks at a gold text: neither as evidence, nor as an example, nor for a model that writes a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import redis

from ale.errors import ConfigurationError, ContentFiltered
from ale.patches import MOST_HINT_CHARS, Disagreement, Patch, one_line, propose
from ale.teachers.llm.hints import ask_for_hint, read_hint
from ale.types import LabelSpace
from ml_backend.asking import paid_chat
from ml_backend.capabilities import recall, remember
from ml_backend.patches import Told, why_off
from ml_backend.shots import is_gold, labelled_texts, left_out_tasks
from ml_backend.store import mirror, patches, replies, spend, tunings
from ml_backend.store.schema import PromptPatch
from ml_backend.teach import Teaching
from ml_backend.teachers import NamedTeacher

GROWN = 1.25
"""Times the gold texts after which what was rolled back may be tried once more."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Patches to be tried in their order. `unwritten` pairs (people, teacher) wait for a hint that costs a call."""

    patches: list[PromptPatch]
    unwritten: list[tuple[str, str]] = field(default_factory=list)


def given(teaching: Teaching, teacher: NamedTeacher, hints: Sequence[str]) -> Proposals:
    """What a person wants tried: `label=text` each. Raises ConfigurationError for what is no hint of a label."""
    known = {
        (p.label, p.text, p.own_hint): p
        for p in patches.every(teaching.db, teaching.project.key, teacher.name)
        if p.kind == "hint" and not p.other
    }
    rows = []
    for hint in hints:
        row = _row(teaching, teacher, "hint", *_split(hint, teaching.space))
        rows.append(known.get((row.label, row.text, row.own_hint), row))
    return Proposals(rows)


def found(
    teaching: Teaching, teacher: NamedTeacher, now: Told, gold: int, *, write: bool, pairs: int
) -> Proposals:
    """Patches for the most confused pairs of labels; `write`: let the model write hints, which costs.

    What was rolled back is tried again once there are a quarter more `gold` texts; what a person has undone,
    never. Raises TeacherUnavailable and BudgetReached when a hint can not be written.
    """
    db, key = teaching.db, teaching.project.key
    past = patches.every(db, key, teacher.name)
    writer = _HintWriter(teaching, teacher, past, gold, write=write)
    seen = disagreements(teaching, teacher, past)
    candidates = propose(seen, now.space, write_hint=writer, reserved=partial(is_gold, key), pairs=pairs)
    tuned = tunings.find_teacher(db, teacher.name) is not None  # it is asked without examples
    rows = []
    for patch in candidates:
        label, other = now.space.labels[patch.human], now.space.labels[patch.said]
        if patch.hint:
            rows.append(writer.rows[label, other])
        elif not tuned and not _tried(past, "contrast", label, other, gold):
            rows.append(_contrast(teaching, teacher, patch, label, other))
    return Proposals(rows, writer.unwritten)


def disagreements(
    teaching: Teaching, teacher: NamedTeacher, past: Sequence[PromptPatch] = ()
) -> list[Disagreement]:
    """Texts that people settled otherwise than the teacher had said; none of them gold, doubted or set aside.

    What it said before a patch for that label came into force says nothing about the prompt of today.
    """
    db, key, space = teaching.db, teaching.project.key, teaching.space
    humans = {
        human.text_hash: human.label
        for human in labelled_texts(teaching.dataset(), left_out_tasks(db, key))
        if not is_gold(key, human.text_hash)
    }
    since: dict[str, datetime] = {
        p.label: p.decided_at
        for p in past
        if p.state == "shipped" and p.decided_at and not why_off(db, p, space)
    }
    said: dict[str, int] = {}
    for row in replies.rows(db, teacher.name, replies.question_of(space), list(humans)):
        if row.probs is None or len(row.probs) != len(space):
            continue
        human = humans[row.text_hash]
        best = max(range(len(space)), key=lambda i, probs=row.probs: float(probs[i]))  # type: ignore[misc]
        patched = since.get(space.labels[human])
        if best != human and (patched is None or row.answered_at > patched):
            said[row.text_hash] = best
    texts = mirror.texts(db, key, list(said))
    return [Disagreement(texts[name], name, humans[name], said[name]) for name in said if name in texts]


class _HintWriter:
    """Lets the teacher's model write hints, each once: a hint that waits for its trial is not paid again."""

    def __init__(
        self,
        teaching: Teaching,
        teacher: NamedTeacher,
        past: Iterable[PromptPatch],
        gold: int,
        *,
        write: bool,
    ) -> None:
        self._teaching, self._teacher, self._gold = teaching, teacher, gold
        self._past, self._write = list(past), write
        self.rows: dict[tuple[str, str], PromptPatch] = {
            (p.label, p.other): p
            for p in self._past
            if p.kind == "hint" and p.state == "proposed" and p.other
        }
        self.unwritten: list[tuple[str, str]] = []

    def __call__(self, labels: LabelSpace, human: int, said: int, seen: Sequence[Disagreement]) -> str:
        """The hint; empty when there is none (yet)."""
        pair = labels.labels[human], labels.labels[said]
        if pair in self.rows and not why_off(self._teaching.db, self.rows[pair], self._teaching.space):
            return self.rows[pair].text
        if _tried(self._past, "hint", *pair, self._gold):
            return ""
        if not self._write:
            self.unwritten.append(pair)
            return ""
        texts = [one.text for one in seen]
        return asyncio.run(self._written(labels, human, said, texts))

    async def _written(self, labels: LabelSpace, human: int, said: int, texts: Sequence[str]) -> str:
        teaching, teacher = self._teaching, self._teacher
        settings, db, key = teaching.settings, teaching.db, teaching.project.key
        hint = ""
        with redis.Redis.from_url(teaching.redis_url, socket_timeout=5) as connection:
            known = recall(connection, teacher.endpoint)
            async with paid_chat(
                settings, db, teaching.redis_url, teacher, key, teaching.wanted_elsewhere, known
            ) as paid:
                try:
                    can = await paid.chat.capabilities()
                    remember(connection, teacher.endpoint, can)
                    with suppress(ContentFiltered):  # then there is no hint, and the rest goes on
                        question = ask_for_hint(labels, human, said, texts, can)
                        hint = one_line(read_hint(await paid.chat.complete(question)))
                finally:
                    row = self._row(labels, human, said, len(texts), hint) if hint else None
                    settled = paid.meter.take_settled()
                    await paid.thread.run(lambda: self._keep(row, settled))
        if row is not None:
            self.rows[row.label, row.other] = row
        return hint

    def _row(self, labels: LabelSpace, human: int, said: int, seen: int, hint: str) -> PromptPatch:
        label, other = labels.labels[human], labels.labels[said]
        return _row(self._teaching, self._teacher, "hint", label, hint, other=other, seen=seen)

    def _keep(self, row: PromptPatch | None, settled: Sequence[spend.Settled]) -> None:
        """The hint and what it cost, in one transaction."""
        with self._teaching.db.session() as session:
            if row is not None:
                patches.add_in(session, row)
            spend.settle(session, self._teaching.project.key, settled)


def _tried(past: Iterable[PromptPatch], kind: str, label: str, other: str, gold: int) -> bool:
    """Whether the like was judged before, and the gold texts can not say more today."""
    for patch in past:
        if (patch.kind, patch.label, patch.other) == (kind, label, other) and (
            patch.state == "undone" or (patch.state == "rolled_back" and gold < GROWN * patch.gold)
        ):
            return True
    return False


def _split(hint: str, space: LabelSpace) -> tuple[str, str]:
    """Label and text; a label may hold an equals sign itself."""
    parts = hint.split("=")
    for n in range(1, len(parts)):
        label, text = "=".join(parts[:n]), " ".join("=".join(parts[n:]).split())
        if space.index(label) is None:
            continue
        if not text or len(text) > MOST_HINT_CHARS:
            raise ConfigurationError(
                f'--hint "{label}=...": a hint has 1 to {MOST_HINT_CHARS} characters, not {len(text)}; '
                "it is paid for with every question"
            )
        return label, text
    raise ConfigurationError(
        f'--hint "{hint[:60]}" names no label: write --hint "LABEL=TEXT", where LABEL is one of '
        + ", ".join(space.labels)
    )


def _contrast(teaching: Teaching, teacher: NamedTeacher, patch: Patch, label: str, other: str) -> PromptPatch:
    note = f"people chose {label}, not {other}"
    examples = [[one.text_hash, label, note] for one in patch.contrast]
    return _row(teaching, teacher, "contrast", label, other=other, examples=examples, seen=patch.seen)


def _row(
    teaching: Teaching,
    teacher: NamedTeacher,
    kind: str,
    label: str,
    text: str = "",
    *,
    other: str = "",
    examples: Sequence[list[str]] = (),
    seen: int = 0,
) -> PromptPatch:
    """A proposal that nobody has judged, not stored yet."""
    space = teaching.space
    return PromptPatch(
        project=teaching.project.key,
        teacher=teacher.name,
        kind=kind,
        label=label,
        other=other,
        own_hint=space.hints[space.labels.index(label)],
        text=text,
        examples=list(examples),
        seen=seen,
        state="proposed",
        question=replies.question_of(space),
    )
