"""The reviewers' answers on their way back: noted, held against the original as it is now, carried out.

Choosing the current label confirms it. Another label fixes it: with write-back a new annotation is made on the
original task, by the reviewer, as a correction of the doubted one, which stays as it was. Without write-back the
verdict is kept and reported. What was said of another text or another label than stand there now is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from ale.text import normalise, text_hash
from ml_backend.controls import Control, Json
from ml_backend.label_studio import LabelStudioClient
from ml_backend.review_project.tasks import ReviewTask, question_of
from ml_backend.store import decisions
from ml_backend.store import review_project as stored
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, ReviewFlag, ReviewVerdict
from ml_backend.sync import annotation_row

NEW, CONFIRMED, FIXED, REPORTED, VOID = "new", "confirmed", "fixed", "reported", "void"
TASK_DELETED, TEXT_CHANGED, LABEL_CHANGED, LABEL_GONE = (
    "task_deleted",
    "text_changed",
    "label_changed",
    "label_gone",
)
CHUNK = 100  # whole tasks per request


def note_answers(db: Database, project: str, tasks: Iterable[ReviewTask]) -> int:
    """Keep what was answered since; how many answers that are. A changed mind counts until it is written back."""
    news = 0
    with db.session() as session:
        for task in tasks:
            if task.answer is None:
                continue
            row = session.get(ReviewVerdict, (project, task.question))
            if row is not None and (row.outcome in {FIXED, VOID} or row.answer == task.answer.label):
                continue
            if row is None:
                row = ReviewVerdict(project=project, question=task.question, **_asked(task))
                session.add(row)
            row.answer, row.reviewer, row.answered_at = (
                task.answer.label,
                task.answer.reviewer,
                task.answer.at,
            )
            row.outcome, row.why, row.written_id = NEW, "", None
            news += 1
    return news


def take_back(db: Database, project: str, tasks: Iterable[ReviewTask]) -> int:
    """Forget reported verdicts whose answer was deleted in the review project, and ask again; how many those are.

    Of a task that is gone nothing is known: its verdict stays.
    """
    taken = 0
    with db.session() as session:
        for task in tasks:
            row = session.get(ReviewVerdict, (project, task.question))
            if task.answer is not None or row is None or row.outcome != REPORTED:
                continue
            flag = session.get(ReviewFlag, (project, row.task_id))
            if flag is not None and flag.status == REPORTED and _is_about(row, flag):
                decisions.forget(session, flag)
                flag.status, flag.settled_label, flag.shown = "suspect", "", False
                flag.decided_at = flag.decided_by = None
            session.delete(row)
            taken += 1
    return taken


def _asked(task: ReviewTask) -> Json:
    about = task.about
    return {
        "task_id": about["task"],
        "annotation_id": about["annotation"],
        **{name: about[name] for name in ("annotation_updated_at", "text_hash", "given", "suggested")},
    }


def carry_out(
    db: Database, client: LabelStudioClient, project: Project, control: Control, *, write_back: bool
) -> int:
    """Settle what waits: new answers, and with `write_back` those that were only reported; how many were settled.

    Each is written down as soon as it is carried out. A run that was killed in between finds its annotation again.
    """
    waits = {NEW, REPORTED} if write_back else {NEW}
    todo = [row for row in stored.verdicts(db, project.key) if row.outcome in waits]
    originals = read_originals(client, project.project_id, [row.task_id for row in todo])
    for row in todo:
        outcome, why, written = _carry_out(
            client, control, originals.get(row.task_id), row, write_back=write_back
        )
        with db.session() as session:
            mine = session.get_one(ReviewVerdict, (project.key, row.question))
            mine.outcome, mine.why, mine.written_id = outcome, why, written
            flag = session.get(ReviewFlag, (project.key, row.task_id))
            if flag is not None and outcome != VOID and _is_about(mine, flag):
                _settle(flag, mine)
                decisions.note(session, flag, mine.answer)
    _settle_again(db, project.key)
    return len(todo)


def _settle_again(db: Database, project: str) -> None:
    """A learn run at the same moment may have put a flag back that a verdict had closed."""
    with db.session() as session:
        suspects = session.scalars(
            select(ReviewFlag).where(ReviewFlag.project == project, ReviewFlag.status == "suspect")
        )
        for flag in suspects:
            verdict = session.get(ReviewVerdict, (project, question_of(flag)))
            if verdict is not None and verdict.outcome in {CONFIRMED, REPORTED}:
                _settle(flag, verdict)


def read_originals(client: LabelStudioClient, project: int, task_ids: Sequence[int]) -> dict[int, Json]:
    """The tasks as they are now, with whole annotations; those that are deleted are not among them."""
    ids = sorted(set(task_ids))
    return {
        int(task["id"]): task
        for start in range(0, len(ids), CHUNK)
        for task in client.tasks(project, ids=ids[start : start + CHUNK], full_annotations=True)
    }


def changed_since(
    control: Control, task: Json | None, annotation_id: int, annotation_updated_at: str, asked_of: str
) -> str:
    """Why a question is no longer about what stands there now; empty when it is."""
    if task is None:
        return TASK_DELETED
    text = normalise(control.text(task["data"]))
    if text is None or text_hash(text) != asked_of:
        return TEXT_CHANGED
    doubted = next((raw for raw in task["annotations"] if int(raw["id"]) == annotation_id), None)
    if doubted is None or doubted.get("was_cancelled") or doubted.get("updated_at") != annotation_updated_at:
        return LABEL_CHANGED
    return ""


def _carry_out(
    client: LabelStudioClient, control: Control, task: Json | None, row: ReviewVerdict, *, write_back: bool
) -> tuple[str, str, int | None]:
    """Outcome, why it is void, and the annotation that was written."""
    why = changed_since(control, task, row.annotation_id, row.annotation_updated_at, row.text_hash)
    if not why and control.label_space.index(row.answer) is None:
        why = LABEL_GONE
    # By us before we were killed, or by hand: it stands in the place of the doubted one already.
    made = {} if why or task is None else _made_from(control, task, row)
    if made and row.answer not in made:
        why = LABEL_CHANGED
    if why or task is None:
        return VOID, why, None
    if row.answer == row.given:
        return CONFIRMED, "", None
    if made:
        return FIXED, "", made[row.answer]
    return (FIXED, "", _write(client, control, task, row)) if write_back else (REPORTED, "", None)


def _made_from(control: Control, task: Json, row: ReviewVerdict) -> dict[str | None, int]:
    """Annotations that were made from the doubted one, by their label."""
    return {
        annotation_row(row.task_id, raw, control)["label"]: int(raw["id"])
        for raw in task["annotations"]
        if raw.get("parent_annotation") == row.annotation_id
        and not raw.get("was_cancelled")
        and str(raw.get("updated_at")) >= row.annotation_updated_at  # an older copy corrects nothing
    }


def _write(client: LabelStudioClient, control: Control, task: Json, row: ReviewVerdict) -> int:
    """The reviewer's label as a new annotation; its number."""
    doubted = next(raw for raw in task["annotations"] if int(raw["id"]) == row.annotation_id)
    # What stands beside the label in the doubted annotation (a comment, spans) was not in question.
    beside = [item for item in doubted.get("result") or () if item.get("from_name") != control.from_name]
    chosen = {**control.region(row.answer), "id": f"review-{row.annotation_id}", "origin": "manual"}
    values: Json = {"result": [*beside, chosen], "parent_annotation": row.annotation_id}
    if row.reviewer is not None:
        values["completed_by"] = row.reviewer
    return int(client.annotate(row.task_id, **values)["id"])


def _is_about(verdict: ReviewVerdict, flag: ReviewFlag) -> bool:
    return (
        flag.annotation_id == verdict.annotation_id
        and flag.annotation_updated_at == verdict.annotation_updated_at
        and flag.text_hash == verdict.text_hash
    )


def _settle(flag: ReviewFlag, verdict: ReviewVerdict) -> None:
    """The flag is closed, and silent as long as the label stays that stands there now."""
    flag.status, flag.decided_at, flag.shown = verdict.outcome, datetime.now(UTC), False
    flag.decided_by = verdict.reviewer
    flag.settled_label = verdict.answer if verdict.outcome == FIXED else verdict.given
