"""What came back of a batch, read by the rules for every reply, and kept with what it cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ale.chat import Capabilities, ChatReply
from ale.io.chat.batches import BatchState, Line, half
from ale.io.chat.prices import Price
from ale.teachers.llm import LLMTeacher
from ale.types import Abstention, Answer, LabelSpace, Usage
from ml_backend.settings import Settings
from ml_backend.store import batches, replies, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Batch
from ml_backend.store.spend import NANO, Settled
from ml_backend.teachers import NamedTeacher, llm_options, tariff_of

OPEN_STILL = {Abstention.BAD_JSON, Abstention.TRUNCATED}
"""Asking once more may help these; that is done singly."""


@dataclass(frozen=True, slots=True)
class Batched:
    """What batches brought: texts that were sent, settled, and left to be asked as usual, by the reason for it.

    `usd` is None where no price is known. `problem` says why the provider did not take a file; empty when all
    went well.
    """

    sent: int = 0
    answered: int = 0
    left: dict[str, int] = field(default_factory=dict)
    usd: float | None = 0.0
    problem: str = ""

    def __add__(self, other: Batched) -> Batched:
        known = self.usd is not None and other.usd is not None
        return Batched(
            self.sent + other.sent,
            self.answered + other.answered,
            dict(Counter(self.left) + Counter(other.left)),
            (self.usd or 0.0) + (other.usd or 0.0) if known else None,
            self.problem or other.problem,
        )


def keep_answers(
    settings: Settings,
    db: Database,
    teacher: NamedTeacher,
    batch: Batch,
    state: BatchState,
    lines: Iterable[Line],
) -> Batched:
    """Keep what is there, be the batch complete or not, under the question that was asked then.

    Answers and cost stand in one transaction; done twice it changes nothing.
    """
    said, faults = _sorted(batch, lines)
    price, other = _charged(settings, teacher, said.values())
    usage = sum((reply.usage for reply in said.values()), Usage())
    answers = _read(settings, teacher, batch, said)
    settled = {text: answer for text, answer in answers.items() if answer.abstention not in OPEN_STILL}
    faults |= {text: str(a.abstention) for text, a in answers.items() if a.abstention in OPEN_STILL}
    nano_usd = 0 if price is None else math.ceil(round(half(price).usd(usage) * NANO, 3))
    replies.keep(
        db,
        batch.teacher,
        batch.question,
        settled,
        usd=lambda used: None if price is None else half(price).usd(used),
        project=batch.project,
        settled=[Settled(batch.reservation, nano_usd, usage.total)] if usage.total else (),
    )
    if not usage.total:
        # Nothing was answered, and so nothing charged; or a server that does not say what it used.
        (spend.lose if said else spend.release)(db, batch.project, batch.reservation)
    failed = state.status == "failed"
    problem = (state.problem or "the provider does not say why") if failed else other
    done = Batched(
        sent=len(batch.texts),
        answered=len(settled),
        left=dict(Counter(faults.values())),
        usd=None if price is None else nano_usd / NANO,
        problem=problem,
    )
    batches.change(
        db,
        batch,
        state="failed" if failed else "done",
        problem=problem,
        counts={"sent": done.sent, "answered": done.answered, "left": done.left, "status": state.status},
        ended_at=datetime.now(UTC),
    )
    return done


def _charged(
    settings: Settings, teacher: NamedTeacher, said: Iterable[ChatReply]
) -> tuple[Price | None, str]:
    """What the replies are charged by, and why no more may be asked: who answered has another price.

    Then each kind of token counts at the dearest price of all.
    """
    tariff = tariff_of(settings, teacher)
    if tariff is None or tariff.price is None:
        return None, ""
    answered = sorted({reply.model for reply in said})
    others = [tariff.table.of(model) for model in answered if tariff.other(model)]
    prices = [tariff.price, *(price for price in others if price is not None)]
    refusals = [str(refusal) for model in answered if (refusal := tariff.refusal(model))]
    dearest = Price(
        *(max(kind) for kind in zip(*((p.input, p.cached, p.output) for p in prices), strict=True))
    )
    return dearest, refusals[0] if refusals else ""


def _sorted(batch: Batch, lines: Iterable[Line]) -> tuple[dict[str, ChatReply], dict[str, str]]:
    """Replies and faults by text: each text of the batch stands in one of them, and no other text."""
    said: dict[str, ChatReply] = {}
    faults = dict.fromkeys(batch.texts, "no_reply")
    for line in lines:
        if line.name not in faults:
            continue  # none of ours, or answered twice: the first counts
        if line.reply is None:
            faults[line.name] = line.fault
        else:
            said[line.name] = line.reply
            del faults[line.name]
    return said, faults


def _read(
    settings: Settings, teacher: NamedTeacher, batch: Batch, said: dict[str, ChatReply]
) -> dict[str, Answer]:
    """As the batch was asked: with its label space, its codes, its prompt."""
    can = Capabilities(**batch.can)
    reader = LLMTeacher(teacher.chat(can), llm_options(settings), teacher.prompt)
    answers = reader.read(said, _space(batch.space), can)
    return {text: replace(answer, prompt=batch.prompt) for text, answer in answers.items()}


def _space(stored: dict[str, Any]) -> LabelSpace:
    return LabelSpace(
        tuple(stored["labels"]),
        tuple(stored["hints"]),
        stored["instructions"],
        tuple(tuple(names) for names in stored["aliases"]),
    )
