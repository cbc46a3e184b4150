"""Superseded predictions of a benchmark's project: all due at once, and counted while the worker deletes them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.stack import Stack, say, wait_until
from ml_backend.queues import CLEAN, enqueue_chain
from ml_backend.store import versions

LONG_AGO = timedelta(days=3_650)  # beyond any ALE_GRACE_S
GONE = {"superseded", "discarded"}


@dataclass(frozen=True, slots=True)
class Deleted:
    """How far the worker came between two moments (seconds of the wall clock); `failed` steps ended its chain."""

    rows: int
    left: int
    begun: float
    ended: float
    failed: int

    @property
    def per_second(self) -> float:
        """Rows, with the listings in between counted as time."""
        return self.rows / max(self.ended - self.begun, 1e-9)


class Deletion:
    """The worker's own chain of clean-up steps, started by us because the grace period is a day."""

    def __init__(self, stack: Stack, project: str, project_id: int) -> None:
        self._stack = stack
        self._project = project
        self._project_id = project_id
        self._alive = f"{CLEAN}:alive:{project}"
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._rows = self._failed = 0
        self._begun = self._ended = 0.0

    def start(self) -> None:
        """Make every superseded version due, and queue the first step as a learn run does."""
        redis, db = self._stack.services.marks.connection, self._stack.services.db
        wait_until("the last learn run's clean-up ends", lambda: not redis.exists(self._alive), 150.0)
        for version in versions.every(db, self._project):
            if version.state == "superseded":
                earlier = (version.superseded_at or datetime.now(UTC)) - LONG_AGO
                versions.change(db, self._project, version.version, superseded_at=earlier)
        self._rows, self._failed = self._count(), self._failures()
        say(f"{self._rows} predictions of superseded versions may go")
        self._begun = time.time()
        enqueue_chain(redis, CLEAN, self._project)
        self._watcher.start()

    def stop(self) -> Deleted:
        """Stop the clock (the chain goes on) and count what is left."""
        now, left = time.time(), self._count()
        self._stopped.set()
        self._watcher.join()
        ended = min(self._ended or now, now)
        failed = self._failures() - self._failed
        return Deleted(self._rows - left, left, self._begun, ended, failed)

    def _watch(self) -> None:
        redis = self._stack.services.marks.connection
        while not self._stopped.wait(0.1):
            if not redis.exists(self._alive):
                self._ended = time.time()
                return

    def _count(self) -> int:
        theirs = self._stack.client.model_versions(self._project_id)
        gone = [v.version for v in versions.every(self._stack.services.db, self._project) if v.state in GONE]
        return sum(theirs.get(version, 0) for version in gone)

    def _failures(self) -> int:
        counts = self._stack.services.marks.counts()
        return sum(times for what, times in counts.items() if what.startswith("clean:failed:"))
