"""One small step of a teacher's pass over a project: encode and ask for a chunk of texts, then come back.

No project lock is held: answers are keyed by text and kept for good, so that a step may be repeated or cut
off at any point and nothing is asked twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ale.errors import TeacherUnavailable
from ale.types import Example, LabelSpace
from ml_backend.learning import Learning
from ml_backend.store import mirror, projects, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Project

logger = logging.getLogger(__name__)

CHUNK = 256  # about a second of the embedded encoder on two cores


@dataclass(frozen=True, slots=True)
class Taught:
    """What a step did, and how many texts are left for the next one."""

    encoded: int
    answered: int
    left: int


def teach_step(db: Database, learning: Learning, project: Project, space: LabelSpace) -> Taught:
    """Encode and ask for one chunk; tasks that may still be served come before those that are done."""
    tasks = sorted(
        (t for t in mirror.all_tasks(db, project.key) if t.text_hash is not None),
        key=lambda t: (t.is_labeled, t.task_id),
    )
    hashes = list(dict.fromkeys(task.text_hash or "" for task in tasks))
    _, encoded = learning.cache.lookup(hashes)
    missing = {h for h, there in zip(hashes, encoded, strict=True) if not there}
    ask = _may_ask(learning, project)
    question = replies.question_of(space)
    pending = (
        set(hashes) - replies.asked(db, learning.teacher.name, question)
        if ask and learning.teacher
        else set()
    )
    todo = [h for h in hashes if h in missing or h in pending]
    chunk = todo[:CHUNK]
    texts = mirror.texts(db, project.key, chunk)
    chunk = [h for h in chunk if h in texts]  # a text may have gone since the ids were read
    learning.encoder.encode([texts[h] for h in chunk if h in missing])
    answered = 0
    questions = [h for h in chunk if h in pending]
    if questions and learning.teacher is not None:
        examples = [Example(id=i, text=texts[h], text_hash=h) for i, h in enumerate(questions)]
        try:
            probs = learning.teacher.predict_proba(examples, space)
        except TeacherUnavailable as error:
            projects.change(db, project.key, teacher_problem=str(error))
            return Taught(len(missing & set(chunk)), 0, 0)
        replies.save(db, learning.teacher.name, question, dict(zip(questions, probs, strict=True)))
        answered = len(questions)
        if project.teacher_problem:
            projects.change(db, project.key, teacher_problem="")
    left = max(0, len(todo) - CHUNK)
    logger.info("project %s: taught %d texts, %d left", project.key, len(chunk), left)
    return Taught(len(missing & set(chunk)), answered, left)


def _may_ask(learning: Learning, project: Project) -> bool:
    """A paid teacher is asked only where somebody has agreed to pay."""
    return learning.teacher is not None and (project.paid_teacher or not learning.teacher.paid)
