"""What the tests of the teachers' pass share: a project in SQL, a stand-in endpoint, and steps."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ale.io.chat.probe import QUESTION
from ale.text import text_hash
from ale.types import LabelSpace
from ml_backend.asking import Asked, Questions
from ml_backend.learning import Learning, build_learning
from ml_backend.settings import Settings
from ml_backend.standin import SimulatedPolicy, StandIn
from ml_backend.store import mirror, projects, replies
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import Project, Reply
from ml_backend.teach import Taught, Teaching

__all__ = ["Asked", "Questions"]

KEY = "teach-1"
PROBE = text_hash(QUESTION.messages[0].content)
"""The text of the question that finds out what an endpoint can do; it belongs to no task."""
SPACE = LabelSpace(("good", "bad"), ("praise", "blame"), "Say what the customer feels.")
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="good" hint="praise"/><Choice value="bad" hint="blame"/></Choices></View>'
)


def texts(n: int) -> list[str]:
    """Different texts; every other one is good."""
    return [f"Message {i}: this is {'fine' if i % 2 else 'broken'}." for i in range(n)]


def truth(names: Sequence[str]) -> dict[str, str]:
    """The label of each text."""
    return {text: "bad" if "broken" in text else "good" for text in names}


def stand_in(names: Sequence[str], **how: object) -> StandIn:
    """An endpoint that knows the truth."""
    return StandIn(SimulatedPolicy(truth(names), error_rate=0.0), **how)  # type: ignore[arg-type]


def questions(server: StandIn) -> Counter[str]:
    """How often each text was paid; without the probe."""
    return Counter({text: n for text, n in server.calls.paid_by_text().items() if text != PROBE})


def with_teacher(settings: Settings, endpoint: StandIn, **changes: object) -> Settings:
    """The settings with a paid teacher at that endpoint, at a rate that tests do not feel."""
    return settings.model_copy(
        update={
            "teacher": "openai:gpt-4.1-mini",
            "openai_base_url": endpoint.base_url,
            "openai_api_key": type(settings.openai_api_key)("a-key-for-tests"),
            "llm_rpm": 60_000.0,
            "llm_tpm": 1e9,
            **changes,
        }
    )


def add_project(db: Database, names: Sequence[str], **values: object) -> None:
    """A connected project that may pay, with one task per text."""
    row: dict[str, object] = {
        "server": "http://label-studio.test:8080",
        "project_id": 1,
        "created_at": 1,
        "status": "connected",
        "paid_teacher": True,
        "label_config": CONFIG,
        "instructions": SPACE.instructions,
    }
    with db.session() as session:
        session.add(Project(key=KEY, **{**row, **values}))
    seen = [
        TaskSeen(i, text, text_hash(text), is_labeled=False, updated_at="") for i, text in enumerate(names)
    ]
    mirror.save_tasks(db, KEY, seen)


def encoded(settings: Settings, names: Sequence[str]) -> Learning:
    """The parts to work with; the texts have vectors already, so that no encoder is loaded."""
    learning = build_learning(settings)
    hashes = sorted({text_hash(text) for text in names})
    _, there = learning.cache.lookup(hashes)
    missing = [name for name, found in zip(hashes, there, strict=True) if not found]
    rng = np.random.default_rng(0)
    learning.cache.add(missing, rng.normal(size=(len(missing), learning.cache.dimensions)).astype(np.float32))
    return learning


def teaching(settings: Settings, db: Database, names: Sequence[str], space: LabelSpace = SPACE) -> Teaching:
    """A step that may be made."""
    return Teaching(settings, db, settings.redis_url, encoded(settings, names), projects.get(db, KEY), space)


def step(settings: Settings, db: Database, names: Sequence[str]) -> Taught:
    """One step of the pass."""
    return teaching(settings, db, names).step()


def stored(db: Database, space: LabelSpace = SPACE) -> dict[str, Reply]:
    """All stored answers to the question, by text hash."""
    with db.session() as session:
        rows = session.query(Reply).filter(Reply.question == replies.question_of(space)).all()
        return {row.text_hash: row for row in rows}


def environment(settings: Settings) -> Mapping[str, str]:
    """The settings as another process of ours reads them."""
    said = {
        str(field.alias): value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, field in Settings.model_fields.items()
        if (value := getattr(settings, name)) is not None
    }
    return os.environ | {name: value for name, value in said.items() if value}


LOOP = """
import sys
from ml_backend.jobs import teach_project
while not teach_project(sys.argv[1]).endswith(" 0 left"):
    pass
"""
"""A process that makes steps until nothing is left."""


def dumped(values: object) -> str:
    """JSON, for comparing."""
    return json.dumps(values, sort_keys=True)
