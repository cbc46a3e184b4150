"""The SQL tables: what costs money or human decisions, and the mirror of Label Studio's state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python on every database; SQLite itself drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is stored: UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is read: aware, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}


class Schema(Base):
    """One row: the number of the schema that the database has; `store/upgrade.py` reads and writes it."""

    __tablename__ = "schema_number"

    only: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer)


class Project(Base):
    """A project that somebody wished to connect, or that is connected."""

    __tablename__ = "projects"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    server: Mapped[str] = mapped_column(String(512))
    project_id: Mapped[int] = mapped_column(Integer, index=True)
    created_at: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default="wished")
    """wished (by /setup) · connected · disconnected · gone (deleted in Label Studio)."""
    title: Mapped[str] = mapped_column(String(512), default="")
    paid_teacher: Mapped[bool] = mapped_column(default=False)
    label_config: Mapped[str] = mapped_column(Text, default="")
    instructions: Mapped[str] = mapped_column(Text, default="")
    problem: Mapped[str] = mapped_column(Text, default="")
    """Why nothing is published just now, in words for the user; empty when all is well."""
    version: Mapped[str | None] = mapped_column(String(64))
    """The version in force; `/setup` answers with it."""
    content_hash: Mapped[str] = mapped_column(String(64), default="")
    """What the version in force was learnt from."""
    fence: Mapped[int] = mapped_column(Integer, default=0)
    """Number of the newest learn run; an older one discards itself."""
    synced_until: Mapped[str] = mapped_column(String(40), default="")
    """Newest `updated_at` that was read, as Label Studio writes it."""
    counts_seen: Mapped[str] = mapped_column(String(120), default="")
    teacher_problem: Mapped[str] = mapped_column(Text, default="")
    """Why the teacher does not answer just now; empty when it does."""
    teacher_beaten: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Why paid teachers are asked no more although they could be: the figures; empty while they are worth it."""
    full_publish_at: Mapped[datetime | None]
    webhook_id: Mapped[int | None]
    backend_id: Mapped[int | None]
    review_view_id: Mapped[int | None]
    unsure_view_id: Mapped[int | None]
    previous_sampling: Mapped[str] = mapped_column(String(64), default="")
    updated_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class Task(Base):
    """A task as last read from Label Studio; the row goes when the task goes."""

    __tablename__ = "tasks"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    text: Mapped[str | None] = mapped_column(Text)
    """Normalised; None when the task has no usable text."""
    text_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    is_labeled: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[str] = mapped_column(String(40), default="")
    placed_in: Mapped[str | None] = mapped_column(String(64))
    """The last version in which this task got a prediction; None = never placed in the order."""


class Annotation(Base):
    """A human answer as last read from Label Studio; the row goes when the annotation goes."""

    __tablename__ = "annotations"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    annotation_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Values by `from_name`, without ids, order or origin: what a review decision compares."""
    label: Mapped[str | None] = mapped_column(Text)
    """The supported control's value; None when it is empty or skipped."""
    annotator: Mapped[int | None]
    updated_by: Mapped[int | None]
    was_cancelled: Mapped[bool] = mapped_column(default=False)
    ground_truth: Mapped[bool] = mapped_column(default=False)
    from_prediction: Mapped[bool] = mapped_column(default=False)
    """Made from a prediction in bulk, with nobody looking: not a human label."""
    created_at: Mapped[str] = mapped_column(String(40), default="")
    updated_at: Mapped[str] = mapped_column(String(40), default="")
    lead_time: Mapped[float | None]
    """Seconds the annotator took; kept from the first sight, since a reviewer's Update replaces it."""
    parent_prediction: Mapped[int | None]
    origin: Mapped[str] = mapped_column(String(24), default="")
    """The editor's word for the supported control: manual · prediction (accepted as it was) · prediction-changed."""

    __table_args__ = (Index("annotations_by_task", "project", "task_id"),)


class Reply(Base):
    """One teacher's answer to one text under one label space. Never asked twice.

    Columns that came later have a default in the database too, so that older tables can be given them.
    """

    __tablename__ = "replies"

    teacher: Mapped[str] = mapped_column(String(128), primary_key=True)
    question: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Fingerprint of labels, hints and instructions."""
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


class Version(Base):
    """A published (or half-published) set of predictions."""

    __tablename__ = "versions"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="building")
    """building · flipping (about to be in force) · in_force · superseded · discarded (never in force) · cleaned (rows deleted)."""
    kind: Mapped[str] = mapped_column(String(16), default="teacher")
    """student · teacher (no student yet) · none (neither: an order without suggestions)."""
    labels: Mapped[list[Any]] = mapped_column(default=list)
    snapshot: Mapped[str] = mapped_column(String(32), default="")
    rows: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    in_force_at: Mapped[datetime | None]
    superseded_at: Mapped[datetime | None]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answers: Mapped[int] = mapped_column(Integer, default=0)
    """Teacher answers that it was learnt from."""
    head: Mapped[str] = mapped_column(String(64), default="")
    """Fingerprint of the queue's order and suggestions."""


class Run(Base):
    """One learn run and how it ended."""

    __tablename__ = "runs"

    run_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), index=True)
    fence: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    """Every change that Label Studio accepted before this moment is in the run."""
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(24), default="running")
    """running · published · filled · unchanged · superseded · not_ready · failed."""
    reason: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[str | None] = mapped_column(String(64))
    n_labels: Mapped[int] = mapped_column(Integer, default=0)
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ReviewFlag(Base):
    """A human label that we doubt, and what a person decided about it."""

    __tablename__ = "review_flags"

    project: Mapped[str] = mapped_column(ForeignKey("projects.key", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    annotation_id: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default="suspect")
    """suspect · confirmed · fixed · withdrawn."""
    shown: Mapped[bool] = mapped_column(default=False)
    """Label Studio's data fields say what this row says."""
    given: Mapped[str] = mapped_column(Text)
    suggested: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)
    values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    annotation_updated_at: Mapped[str] = mapped_column(String(40))
    text_hash: Mapped[str] = mapped_column(String(32))
    settled_label: Mapped[str] = mapped_column(Text, default="")
    """What the person left standing when the flag was settled: silent until that changes."""
    suggestion_shown: Mapped[str] = mapped_column(Text, default="")
    """The suggestion that stands beside the annotation as a prediction."""
    flagged_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None]


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
    """When somebody agreed by `ale teach --yes` to have the whole project asked; None = a sample at most."""
