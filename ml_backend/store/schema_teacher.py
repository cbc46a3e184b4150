"""The SQL tables of teachers: what was asked and answered, what it cost, and what they were shown.

Import them from `schema`, which knows all tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ml_backend.store.columns import Base


class Reply(Base):
    """One teacher's answer to one text under one label space. Never asked twice.

    Columns that came later have a default in the database too, so that older tables can be given them.
    """

    __tablename__ = "replies"

    teacher: Mapped[str] = mapped_column(String(128), primary_key=True)
    question: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Fingerprint of labels, hints, instructions and aliases."""
    text_hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    probs: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    abstention: Mapped[str | None] = mapped_column(String(32))
    answered_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    prompt: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Fingerprint of all that was said besides the text, few-shot examples included."""
    confidence: Mapped[str] = mapped_column(String(16), default="none", server_default="none")
    """Where the probabilities come from: a value of `Confidence`."""
    unseen: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    """Probability mass that the endpoint did not show."""
    prompt_tokens: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    cached_tokens: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    completion_tokens: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    usd: Mapped[float | None] = mapped_column(Float)
    """What it cost; None when the price is not known."""


class AskedQuestion(Base):
    """A question that a paid teacher was asked in a project. A changed hint or instruction is another question."""

    __tablename__ = "asked_questions"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    teacher: Mapped[str] = mapped_column(String(128), primary_key=True)
    question: Mapped[str] = mapped_column(String(32), primary_key=True)
    labels: Mapped[list[Any]] = mapped_column(default=list)
    """In the order of the answers' probabilities, so that an older answer can be read."""
    first_asked_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    agreed_at: Mapped[datetime | None]
    """When somebody agreed to have the whole project asked; None = a sample at most."""
    agreed_by: Mapped[str] = mapped_column(String(16), default="teach", server_default="teach")
    """teach (`ale teach --yes`) · connect (`ale connect`, which agrees to the first question)."""


class FewShots(Base):
    """A frozen set of few-shot examples of one project: what a teacher was shown, by text hash."""

    __tablename__ = "few_shots"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    teacher: Mapped[str] = mapped_column(String(128))
    question: Mapped[str] = mapped_column(String(32))
    labels: Mapped[int] = mapped_column(Integer)
    """Human labels that there were when it was frozen; a quarter more make the next set."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    standing: Mapped[list[Any]] = mapped_column(default=list)
    """`[text_hash, label, note]` of the examples that every prompt shows."""
    pool: Mapped[list[Any]] = mapped_column(default=list)
    """`[text_hash, label]` of those from which each text's own examples are chosen."""
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class Spend(Base):
    """What a project's paid teachers have cost, and what the calls under way may cost yet.

    Money is counted in whole billionths of a US dollar, so that thousands of additions stay exact.
    """

    __tablename__ = "spend"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    calls: Mapped[int] = mapped_column(Integer, default=0)
    """Calls that were answered, or whose fate is unknown."""
    reserved_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    reserved_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    lost_nano_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    """The part of `nano_usd` that was counted for calls whose fate is unknown."""
    lost_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    lost_calls: Mapped[int] = mapped_column(Integer, default=0)


class Reservation(Base):
    """The most that one call under way may cost. The row of a worker that died is counted as spent, later."""

    __tablename__ = "reservations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    nano_usd: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    held_until: Mapped[datetime | None]
    """For work that takes hours and is found again: until when it stands. None = as long as a call may take."""


class Batch(Base):
    """Questions that went to a provider in one file, and what became of them. Written before anything is sent.

    While it is open nobody else asks its texts.
    """

    __tablename__ = "teacher_batches"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    teacher: Mapped[str] = mapped_column(String(128))
    question: Mapped[str] = mapped_column(String(32))
    prompt: Mapped[str] = mapped_column(String(64))
    """Fingerprint of all that was said besides the texts."""
    space: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The label space that was asked about: the config may change within a day."""
    can: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The endpoint's capabilities by which the questions were put."""
    texts: Mapped[list[Any]] = mapped_column(default=list)
    """Hashes of the texts, which name the lines."""
    state: Mapped[str] = mapped_column(String(16), default="preparing", index=True)
    """preparing (nothing was started) · starting (perhaps) · running · done · failed."""
    file_id: Mapped[str] = mapped_column(String(128), default="")
    batch_id: Mapped[str] = mapped_column(String(128), default="")
    reservation: Mapped[str] = mapped_column(String(32))
    """What is set aside for all of it; see `Reservation`."""
    problem: Mapped[str] = mapped_column(Text, default="")
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class TunedModel(Base):
    """A fine-tuning job and the teacher that came of it. Written before anything is sent."""

    __tablename__ = "tuned_models"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(16))
    base: Mapped[str] = mapped_column(String(128))
    """The dated model that was trained on."""
    question: Mapped[str] = mapped_column(String(32))
    labels: Mapped[list[Any]] = mapped_column(default=list)
    """In the order of their codes."""
    prompt: Mapped[str] = mapped_column(String(64))
    """Fingerprint of the prompt in the training file: no few-shot examples."""
    prompt_version: Mapped[str] = mapped_column(String(32))
    snapshot: Mapped[str] = mapped_column(String(32))
    files: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """SHA-256 of the training and the validation file: what was trained on, to the letter."""
    state: Mapped[str] = mapped_column(String(16), default="preparing")
    """preparing (nothing was started) · starting (perhaps) · running · succeeded · failed · cancelled."""
    training_id: Mapped[str] = mapped_column(String(128), default="")
    validation_id: Mapped[str] = mapped_column(String(128), default="")
    job_id: Mapped[str] = mapped_column(String(128), default="")
    model: Mapped[str] = mapped_column(String(256), default="")
    """The provider's name of the new model."""
    teacher: Mapped[str] = mapped_column(String(256), default="", index=True)
    """What ALE_TEACHER calls it, less the prompt version: `openai:ft:...`, `azure:DEPLOYMENT`."""
    reservation: Mapped[str] = mapped_column(String(32))
    epochs: Mapped[int] = mapped_column(Integer)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    """Trained tokens, epochs counted: an estimate until the job has ended."""
    usd: Mapped[float | None] = mapped_column(Float)
    """What the training cost, likewise; None where no price is known."""
    problem: Mapped[str] = mapped_column(Text, default="")
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class PromptPatch(Base):
    """A change of what one teacher is told in a project, and what the gold texts said of it. Rows stay for good."""

    __tablename__ = "prompt_patches"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    teacher: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    """hint (another one for `label`) · contrast (standing examples)."""
    label: Mapped[str] = mapped_column(Text)
    other: Mapped[str] = mapped_column(Text, default="")
    """What the teacher had said where people said `label`; empty for a hint that a person gave."""
    own_hint: Mapped[str] = mapped_column(Text, default="")
    """The label's hint in the config when the patch was made: once that is edited, the patch is off."""
    text: Mapped[str] = mapped_column(Text, default="")
    """The hint."""
    examples: Mapped[list[Any]] = mapped_column(default=list)
    """`[text_hash, label, note]` of the contrast examples."""
    seen: Mapped[int] = mapped_column(Integer, default=0)
    """Settled disagreements behind it."""
    state: Mapped[str] = mapped_column(String(16), default="proposed")
    """proposed (not judged yet) · shipped · rolled_back (by the gate) · undone (by a person)."""
    question: Mapped[str] = mapped_column(String(32))
    """What the teacher was asked then: patches that were judged by one question share their error level."""
    before: Mapped[str] = mapped_column(String(64), default="")
    after: Mapped[str] = mapped_column(String(64), default="")
    """Fingerprints of the prompt without and with it, as judged."""
    gold: Mapped[int] = mapped_column(Integer, default=0)
    old_right: Mapped[int] = mapped_column(Integer, default=0)
    new_right: Mapped[int] = mapped_column(Integer, default=0)
    wins: Mapped[int] = mapped_column(Integer, default=0)
    """Gold texts that only the new prompt got right; `losses` that only the old one did."""
    losses: Mapped[int] = mapped_column(Integer, default=0)
    p_value: Mapped[float | None] = mapped_column(Float)
    level: Mapped[float | None] = mapped_column(Float)
    """The patch ships when `p_value` is below this."""
    made_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    decided_at: Mapped[datetime | None]
