"""What a worker does about batches that somebody has made: it looks now and then, and keeps what came back.

So nobody has to wait at a terminal for a day. It starts nothing. A batch whose maker died before it was surely
sent would keep its texts from everybody: after a while it is looked up, and forgotten if the provider has none.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from ale.errors import TeacherUnavailable
from ale.io.chat.account import Account, Patience
from ale.io.chat.batches import Batches
from ml_backend.batch_answers import keep_answers
from ml_backend.learning import Learning
from ml_backend.only_one import if_free
from ml_backend.settings import Settings
from ml_backend.store import batches, spend
from ml_backend.store.database import Database
from ml_backend.store.schema import Batch

logger = logging.getLogger(__name__)

ABANDONED_AFTER = timedelta(minutes=10)
"""Nobody sends a batch for so long. By then the provider lists one that was started."""


def sending(project: str, teacher: str) -> str:
    """What a process holds (see `only_one`) while it makes, sends and follows a batch."""
    return f"batch-{project}-{teacher}"


def collect_batches(settings: Settings, db: Database, learning: Learning, project: str) -> int:
    """Texts that were settled by batches that have ended by now; one look at each that is under way.

    A provider that can not be reached is asked another time.
    """
    settled = 0
    for teacher in learning.teachers:
        batch = batches.find_open(db, project, teacher.name)
        if batch is None or teacher.spec is None or teacher.problem:
            continue
        asked = teacher.spec.deployment or teacher.spec.model
        provider = Batches(Account(teacher.spec, Patience(attempts=1)), asked)
        try:
            if batch.state in batches.UNSENT:
                _look_after(settings, db, provider, batch)
            if batch.state != "running":
                continue
            state = provider.look(batch.batch_id)
            if state.ended:
                settled += keep_answers(settings, db, teacher, batch, state, provider.lines(state)).answered
        except TeacherUnavailable as error:
            logger.info("project %s: batch %s: %s", project, batch.id, error)
    return settled


def _look_after(settings: Settings, db: Database, provider: Batches, batch: Batch) -> None:
    """Find an abandoned batch at the provider, or forget it and hand its money back. Raises TeacherUnavailable."""
    before = datetime.now(UTC) - ABANDONED_AFTER
    if (batch.started_at or batch.made_at) >= before:
        return
    with if_free(settings.home, sending(batch.project, batch.teacher)) as nobody_sends:
        now = batches.find_open(db, batch.project, batch.teacher)
        if not nobody_sends or now is None or (now.id, now.state) != (batch.id, batch.state):
            return
        found = provider.find(batch.file_id) if batch.state == "starting" else None
        if found is not None:
            batches.change(db, batch, state="running", batch_id=found.id)
        elif batches.forget_abandoned(db, batch, before):
            spend.release(db, batch.project, batch.reservation)
            logger.info("project %s: batch %s was never sent: forgotten", batch.project, batch.id)
