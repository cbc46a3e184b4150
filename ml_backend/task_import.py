"""New tasks for a project, in chunks, each exactly once however often the import is killed and begun again.

Label Studio takes a list of tasks and knows no "only if it is not there". So every task carries its name in the data
field `ale_import`, and what is there is read before anything is sent. One thing cannot be read: a chunk that was sent
by a process that was killed, and that Label Studio is still storing. It is in the journal as sent, and until it shows
up, or Label Studio cannot be at work on it any more, nothing is sent.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ale.errors import PublishError
from ml_backend.label_studio import Json, LabelStudioClient

KEY = "ale_import"
CHUNK = 500
MOST_BYTES = 20_000_000
"""Of one chunk, as JSON. Label Studio takes 250 MB."""
SETTLED_S = 10.0
PER_TASK_S = 0.02
"""How long Label Studio may still be at work on what was sent: ten times what 500 tasks took on a busy machine."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be. `name` is its own and never changes; it has no quotes or blanks."""

    name: str
    data: Json
    result: Sequence[Json] | None = None
    """What a person has answered, where it is known."""

    def body(self) -> Json:
        """As Label Studio imports it."""
        body: Json = {"data": {**self.data, KEY: self.name}}
        if self.result is not None:
            body["annotations"] = [{"result": list(self.result)}]
        return body


@dataclass(frozen=True, slots=True)
class Pool:
    """What is in the project: tasks by the names that this import gave them, and the data of all others and of these."""

    named: dict[str, list[int]]
    others: list[Json]
    mine: list[Json] = field(default_factory=list)

    @classmethod
    def read(cls, client: LabelStudioClient, project: int, start: str) -> Pool:
        """`start` is how the names of one's own tasks begin; tasks of other imports are others."""
        named: dict[str, list[int]] = {}
        others: list[Json] = []
        mine: list[Json] = []
        for task in client.task_data(project):
            data = task["data"] if isinstance(task["data"], dict) else {}
            name = str(data.get(KEY, ""))
            if name.startswith(start):
                named.setdefault(name, []).append(int(task["id"]))
                mine.append(data)
            else:
                others.append(data)
        return cls(named, others, mine)


@dataclass(slots=True)
class Import:
    """Sends the tasks whose names begin with `start`. One process at a time may do so."""

    client: LabelStudioClient
    project: int
    start: str
    journal: Path
    chunk: int = CHUNK
    sent: int = field(default=0, init=False)

    def read_pool(self, waits: Callable[[float], None] | None = None) -> Pool:
        """What is there, once nothing of an earlier run can be under way; `waits` hears how long that may take."""
        while True:
            pool = Pool.read(self.client, self.project, self.start)
            under_way = self._under_way()
            if not under_way or any(name in pool.named for name in under_way.names):
                return pool
            left = under_way.until - time.time()
            if left <= 0:
                return pool
            if waits is not None:
                waits(left)
            time.sleep(min(left, 1.0))

    def send(self, tasks: Sequence[NewTask], pool: Pool, heard: Callable[[int], None]) -> None:
        """Those that are not there; `heard` is told how many more are. PublishError when some came twice."""
        for part in self._chunks(task for task in tasks if task.name not in pool.named):
            self._note({"sent": [task.name for task in part], "until": time.time() + _longest(len(part))})
            ids = self.client.import_tasks(self.project, [task.body() for task in part])
            self._note({"stored": len(ids)})
            self.sent += len(part)
            heard(len(part))
        self._check({task.name for task in tasks} | pool.named.keys())

    def _check(self, names: set[str]) -> None:
        """Equal counts prove it: names are counted that Label Studio has, and each is there at least once."""
        found = self.client.count_tasks(self.project, KEY, self.start)
        if found == len(names):
            return
        pool = Pool.read(self.client, self.project, self.start)
        there = Counter({name: len(ids) for name, ids in pool.named.items()})
        twice = sorted(i for name, ids in pool.named.items() if there[name] > 1 for i in sorted(ids)[1:])
        missing = len(names - pool.named.keys())
        if twice:
            raise PublishError(
                f"project {self.project} has {len(twice)} tasks of this import twice ({_few(twice)}): somebody else "
                "imported at the same time; delete these in the Data Manager"
            )
        if missing:
            raise PublishError(
                f"project {self.project} lacks {missing} tasks that Label Studio said it had stored: somebody deleted "
                "them meanwhile, or run this again"
            )

    def _chunks(self, tasks: Iterable[NewTask]) -> Iterator[list[NewTask]]:
        part: list[NewTask] = []
        size = 0
        for task in tasks:
            mine = len(json.dumps(task.body()))
            if part and (len(part) >= self.chunk or size + mine > MOST_BYTES):
                yield part
                part, size = [], 0
            part.append(task)
            size += mine
        if part:
            yield part

    def _under_way(self) -> _UnderWay | None:
        """The last chunk of the journal when it is not known to be stored."""
        try:
            lines = self.journal.read_text().splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            try:
                entry: dict[str, Any] = json.loads(line)
            except ValueError:  # the line that was being written: nothing was sent after it
                continue
            return _UnderWay(entry["sent"], float(entry["until"])) if "sent" in entry else None
        return None

    def _note(self, entry: Json) -> None:
        new = not self.journal.exists()
        with self.journal.open("a") as file:
            if not new:
                file.write("\n")  # after a line that was cut off
            file.write(json.dumps(entry))
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class _UnderWay:
    names: list[str]
    until: float


def _longest(tasks: int) -> float:
    return SETTLED_S + PER_TASK_S * tasks


def _few(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:10])) + (", ..." if len(ids) > 10 else "")
