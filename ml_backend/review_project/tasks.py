"""Between a flag and its review task. Pure, but for reading the review project.

A question is: is this label of this text right? It is put once. Its name changes when annotation or text do, and
stands in the task, so that two runs, or a run that was killed, never put it twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ale.types import LabelSpace
from ml_backend.controls import Control, Json
from ml_backend.label_studio import LabelStudioClient
from ml_backend.payloads import to_prediction
from ml_backend.review_project.layout import CURRENT, SUGGESTED, TEXT, WHERE, WHY, shown
from ml_backend.store.schema import ReviewFlag
from ml_backend.sync import annotation_row

ABOUT = "ale_review"
"""The data field that says what the task is about; the reviewer does not see it."""
VERSION = "suggestion (lowest first)"
"""Of the suggestions. Label Studio serves the lowest score first and shows it in quick view as a percentage."""

_STRINGS = ("question", "annotation_updated_at", "text_hash", "given", "suggested")
_NUMBERS = ("task", "annotation")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer said last, by whom and when (as Label Studio writes it)."""

    label: str
    reviewer: int | None
    at: str


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A task of the review project. `about` is what it asks, `told` what it was last made of."""

    task_id: int
    data: Json
    about: Json
    answer: Answer | None
    prediction: int | None

    @property
    def question(self) -> str:
        """The name of its question."""
        return str(self.about["question"])

    @property
    def told(self) -> object:
        """What the page was made of: see `told_by`."""
        return self.about.get("told")


def question_of(flag: ReviewFlag) -> str:
    """The name of the question that a flag asks."""
    about = json.dumps([flag.annotation_updated_at, flag.text_hash])
    return f"{flag.task_id}-{flag.annotation_id}-{hashlib.blake2b(about.encode(), digest_size=8).hexdigest()}"


def told_by(flag: ReviewFlag) -> list[Any]:
    """What a page tells of a flag; another one means that the page is out of date."""
    return [flag.suggested, flag.reason, round(flag.score, 2)]


def task_data(flag: ReviewFlag, text: str, why: str, where: str, space: LabelSpace) -> Json:
    """The data of a flag's review task."""
    about = {
        "question": question_of(flag),
        "task": flag.task_id,
        "annotation": flag.annotation_id,
        "annotation_updated_at": flag.annotation_updated_at,
        "text_hash": flag.text_hash,
        "given": flag.given,
        "suggested": flag.suggested,
        "told": told_by(flag),
    }
    return {
        TEXT: text,
        CURRENT: shown(flag.given, space),
        SUGGESTED: shown(flag.suggested, space),
        WHY: why,
        WHERE: where,
        ABOUT: about,
    }


def suggestion(flag: ReviewFlag, control: Control, task_id: int = 0) -> Json:
    """The suggested label as a prediction; the more surely the label is wrong, the lower its score: served first."""
    return to_prediction(task_id, control, flag.suggested, flag.score, 1.0 - flag.score, VERSION)


def task_body(data: Json, prediction: Json) -> Json:
    """A task as Label Studio imports it, with its suggestion."""
    return {"data": data, "predictions": [{k: v for k, v in prediction.items() if k != "task"}]}


def read_tasks(client: LabelStudioClient, project: int, control: Control) -> list[ReviewTask]:
    """The review project's tasks; what people added there themselves is left alone."""
    found = []
    for task in client.tasks(project, full_annotations=True):
        data = task["data"] if isinstance(task["data"], dict) else {}
        about = data.get(ABOUT)
        if isinstance(about, dict) and _whole(about):
            predictions = [p for p in task.get("predictions") or () if p.get("model_version") == VERSION]
            first = int(predictions[0]["id"]) if predictions else None
            found.append(ReviewTask(int(task["id"]), data, about, _answer(task, control), first))
    return found


def _whole(about: Mapping[str, Any]) -> bool:
    return all(isinstance(about.get(name), str) for name in _STRINGS) and all(
        isinstance(about.get(name), int) for name in _NUMBERS
    )


def _answer(task: Json, control: Control) -> Answer | None:
    """The newest. A skip is none, and neither is a suggestion that was taken over in bulk: nobody has looked."""
    rows = [annotation_row(int(task["id"]), raw, control) for raw in task["annotations"]]
    said = [row for row in rows if row["label"] is not None and not row["from_prediction"]]
    last = max(said, key=lambda row: (row["updated_at"], row["annotation_id"]), default=None)
    return None if last is None else Answer(str(last["label"]), last["annotator"], last["updated_at"])
