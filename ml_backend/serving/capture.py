"""Keeps served predictions, by a policy, without anybody waiting for it; and what people say of them, at once."""

from __future__ import annotations

import logging
import queue
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ale.scanner.texts import BadRow
from ale.text import storable
from ml_backend.serving.answers import Answer
from ml_backend.store import served
from ml_backend.store.database import Database
from ml_backend.store.schema import Feedback

logger = logging.getLogger(__name__)

Json = dict[str, Any]
WAITING = 20_000
"""Predictions that wait to be written; more are lost, and counted, rather than fill the memory."""
AT_ONCE = 1_000
FORGET_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept of what a service says: a random share, all that it is unsure of, texts or not, and how long."""

    service: str
    share: float = 0.0
    below: float = 0.0
    texts: bool = False
    days: int = 90

    def __bool__(self) -> bool:
        return self.share > 0 or self.below > 0

    def keeps(self, request_id: str, item: int, one: Answer) -> bool | None:
        """True: drawn at random; False: kept for being unsure; None: not kept. The id alone decides the draw."""
        if zlib.crc32(f"{request_id}:{item}".encode()) < self.share * 2**32:
            return True
        return False if one.label is not None and one.confidence < self.below else None


class Capture:
    """Implements `ml_backend.serving.app.Keeper`. One thread writes."""

    def __init__(self, db: Database, policy: Policy, version: str, count: Callable[[str, int], None]) -> None:
        self._db, self._policy, self._version, self._count = db, policy, version, count
        self._rows: queue.Queue[Json | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="capture", daemon=True)
        self._forgot = 0.0
        self._thread.start()

    def take(self, request_id: str, texts: list[str | None], answers: list[Answer]) -> None:
        """Chooses what is kept and leaves it to the writer."""
        now = datetime.now(UTC)
        for item, (text, one) in enumerate(zip(texts, answers, strict=True)):
            drawn = self._policy.keeps(request_id, item, one)
            if drawn is None:
                continue
            readable = text is not None and one.reason != BadRow.BROKEN_UTF8
            # Plain values: objects of the tables would cost those who wait for the answer.
            row: Json = {
                "request_id": request_id,
                "item": item,
                "service": self._policy.service,
                "served_at": now,
                "model_version": self._version,
                "label": one.label,
                "confidence": one.confidence if one.label is not None else None,
                "drawn": drawn,
                "text": storable(text) if text is not None and readable and self._policy.texts else None,
            }
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self._count("lost", 1)

    def feedback(self, given: Json) -> None:
        """Written before this returns."""
        text = given["text"] if self._policy.texts else None
        row = Feedback(
            request_id=given["request_id"],
            item=given["item"],
            thumbs=given["thumbs"] or "",
            label=given["label"],
            comment=storable(given["comment"]) if given["comment"] else None,
            text=storable(text) if text else None,
        )
        served.add_feedback(self._db, row)

    def close(self) -> None:
        """Write what waits."""
        self._rows.put(None)
        self._thread.join()

    def _write(self) -> None:
        while True:
            rows = [self._rows.get()]
            while len(rows) < AT_ONCE and not self._rows.empty():
                rows.append(self._rows.get())
            kept = [row for row in rows if row is not None]
            self._store(kept)
            self._forget()
            if len(kept) < len(rows):
                return

    def _store(self, rows: list[Json]) -> None:
        if not rows:
            return
        try:
            served.keep(self._db, rows)
        except SQLAlchemyError as error:
            logger.error("%d predictions were not kept: %s", len(rows), type(error).__name__)
            self._count("lost", len(rows))
        else:
            self._count("kept", len(rows))

    def _forget(self) -> None:
        if time.monotonic() - self._forgot < FORGET_EVERY_S and self._forgot:
            return
        self._forgot = time.monotonic()
        try:
            served.forget(
                self._db, self._policy.service, datetime.now(UTC) - timedelta(days=self._policy.days)
            )
        except SQLAlchemyError as error:
            logger.error("old predictions were not deleted: %s", type(error).__name__)
