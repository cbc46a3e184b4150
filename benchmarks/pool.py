"""Texts with labels to fill a project with: rows of a CSV file, or variations of the demo's messages."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from xml.sax.saxutils import quoteattr

from ale.text import normalise
from benchmarks.stack import Stack, say, wait_until
from ml_backend.connect import connect_project
from ml_backend.demo import sample
from ml_backend.learning import build_learning
from ml_backend.store import mirror, projects
from ml_backend.store.schema import Project

CHUNK = 1_000
FIRST_PASS_S = 900.0


@dataclass(frozen=True, slots=True)
class Text:
    """One text and its label."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A connected project; `labels` holds the right label of each task that has no annotation yet."""

    project: Project
    labels: dict[int, str]


def read_pool(file: Path | None, size: int, seed: int = 1) -> list[Text]:
    """`size` different texts, shuffled; where the file holds fewer, numbered variants of them make up the rest.

    Raises ValueError when it holds none.
    """
    if file is None:
        rows = _made_up(size, random.Random(seed))
    else:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(
                {row["text"]: Text(row["text"], row["label"]) for row in csv.DictReader(lines)}.values()
            )
    if not rows:
        raise ValueError(f"{file} holds no texts; it needs rows with the columns text and label")
    if len(rows) < size:
        say(f"{file} holds {len(rows)} different texts; {size - len(rows)} more are variants of them")
        rows = with_variants(rows, size)
    random.Random(seed).shuffle(rows)
    return rows[:size]


def with_variants(rows: Sequence[Text], size: int) -> list[Text]:
    """These texts, then the same ones with " (2)" behind them, then " (3)", until there are `size` different ones."""
    found = {row.text: row for row in rows}
    for number in count(2):
        for row in rows:
            if len(found) >= size:
                return list(found.values())
            found.setdefault(f"{row.text} ({number})", Text(f"{row.text} ({number})", row.label))
    raise AssertionError("counting does not end")


def _made_up(size: int, rng: random.Random) -> list[Text]:
    """The demo's messages in pairs: real words, real lengths, and no text twice."""
    by_label: dict[str, list[str]] = {}
    for message in sample.pool():
        by_label.setdefault(message.label, []).append(message.text)
    names = sorted(by_label)
    found: dict[str, Text] = {}
    while len(found) < size:
        label = rng.choice(names)
        text = " ".join(rng.sample(by_label[label], 2)) + f" (ref. {rng.randrange(10**6)})"
        found[text] = Text(text, label)
    return list(found.values())


def label_config(labels: list[str]) -> str:
    """A single choice among these labels."""
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return (
        '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single" '
        f'required="true">{choices}</Choices></View>'
    )


def chosen(label: str) -> list[dict[str, object]]:
    """The result of an annotation."""
    value = {"choices": [label]}
    return [{"id": "r1", "from_name": "label", "to_name": "text", "type": "choices", "value": value}]


def fill_project(stack: Stack, pool: list[Text], labelled: int) -> Filled:
    """A project with these texts, the first of them labelled already, connected, encoded and published."""
    labels = sorted({text.label for text in pool})
    say(f"importing {len(pool)} texts of {len(labels)} labels, {labelled} of them labelled")
    project_id = int(stack.client.create_project(title="benchmark", label_config=label_config(labels))["id"])
    say(f"it is project {project_id} on {stack.client.url}")
    tasks: list[dict[str, object]] = [{"data": {"text": text.text}} for text in pool]
    for task, text in zip(tasks[:labelled], pool, strict=False):
        task["annotations"] = [{"result": chosen(text.label), "lead_time": 2.0}]
    ids: list[int] = []
    for start in range(0, len(tasks), CHUNK):
        ids += stack.client.import_tasks(project_id, tasks[start : start + CHUNK])
    say("encoding every text once")
    build_learning(stack.settings).encoder.encode([normalise(text.text) or "" for text in pool])
    row = connect_project(stack.services, project_id).project
    say("connected; the teacher gives its answers")
    db = stack.services.db

    def settled() -> bool:
        stack.supervisor.check()
        entry = projects.get(db, row.key)
        return entry.version is not None and is_quiet(stack, row.key)

    wait_until("the first pass", settled, FIRST_PASS_S, every_s=0.5)
    missing = sum(task.placed_in is None and not task.is_labeled for task in mirror.all_tasks(db, row.key))
    say(f"{projects.get(db, row.key).version} is in force, {missing} tasks have no place in it")
    return Filled(row, {i: t.label for i, t in zip(ids[labelled:], pool[labelled:], strict=True)})


def is_quiet(stack: Stack, project: str) -> bool:
    """Nothing is due, queued or running for the project."""
    from rq.registry import StartedJobRegistry
    from rq.serializers import JSONSerializer

    from ml_backend.marks import connect_redis
    from ml_backend.queues import LEARN, TEACH, queue

    if project in stack.services.marks.pending():
        return False
    connection = connect_redis(stack.settings.redis_url)
    try:
        started = StartedJobRegistry(LEARN, connection=connection, serializer=JSONSerializer)
        ids = [str(i) for i in started.get_job_ids(cleanup=False)] + queue(LEARN, connection).job_ids
        return not any(project in i for i in ids) and not connection.exists(f"{TEACH}:alive:{project}")
    finally:
        connection.close()
