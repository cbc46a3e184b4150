"""What a worker does about batches that somebody has sent: it looks now and then, and keeps what came back.

So nobody has to wait at a terminal for a day. It starts nothing.
"""

from __future__ import annotations

import logging

from ale.errors import TeacherUnavailable
from ale.io.chat.account import Account, Patience
from ale.io.chat.batches import Batches
from ml_backend.batch_answers import keep_answers
from ml_backend.learning import Learning
from ml_backend.settings import Settings
from ml_backend.store import batches
from ml_backend.store.database import Database

logger = logging.getLogger(__name__)


def collect_batches(settings: Settings, db: Database, learning: Learning, project: str) -> int:
    """Texts that were settled by batches that have ended by now; one look at each that is under way.

    A provider that can not be reached is asked another time.
    """
    settled = 0
    for teacher in learning.teachers:
        batch = batches.find_open(db, project, teacher.name)
        if batch is None or batch.state != "running" or teacher.spec is None or teacher.problem:
            continue
        provider = Batches(Account(teacher.spec, Patience(attempts=1)), teacher.spec.model)
        try:
            state = provider.look(batch.batch_id)
            if state.ended:
                settled += keep_answers(settings, db, teacher, batch, state, provider.lines(state)).answered
        except TeacherUnavailable as error:
            logger.info("project %s: batch %s: %s", project, batch.id, error)
    return settled
