"""The life of a review flag: suspect, then confirmed, fixed or withdrawn. The decisions are kept in SQL.

A person decides in Label Studio's plain editor. Pressing the right key and Ctrl+Enter fixes the label;
pressing the label's own key twice and Ctrl+Enter saves it unchanged, which confirms it. Both arrive as a
newer `updated_at`; comparing the values with those taken when the flag was raised tells them apart.
A second annotation made from the doubted one decides as well: that is how a review project writes back.
A decision stays silent until the label or the text changes again. No human annotation is ever altered here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from ale.errors import PublishError
from ale.types import LabelIssue, LabelSpace
from ml_backend.controls import Control
from ml_backend.dataset import Dataset, correction
from ml_backend.label_studio import LabelStudioClient
from ml_backend.payloads import to_prediction
from ml_backend.store import decisions
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Project, ReviewFlag, Task

STATUS = "ale_review_status"
SCORE = "ale_label_error_score"
SUGGESTED = "ale_suggested_label"
CURRENT = "ale_current_label"
REASON = "ale_review_reason"
FIELDS = (STATUS, SCORE, CURRENT, SUGGESTED, REASON)
SUGGESTION_VERSION = "review"

GESTURES = "Fix: right key. Keep: its key twice. Then Ctrl+Enter."
REASON_CHARS = 120  # more is cut in the tab's three lines
SHOWN_PER_RUN = 25
SCORE_MOVED = 0.1  # a smaller change of a shown score is not worth a write


def decide(db: Database, project: str, tasks: Iterable[Task], annotations: Iterable[Annotation]) -> int:
    """Settle the suspect flags on which a person acted since they were raised; how many."""
    by_id: dict[int, Annotation] = {}
    made_from: dict[int, list[Annotation]] = defaultdict(list)
    for one in annotations:
        by_id[one.annotation_id] = one
        if one.parent_annotation is not None:
            made_from[one.parent_annotation].append(one)
    hashes = {task.task_id: task.text_hash for task in tasks}
    settled = 0
    with db.session() as session:
        suspects = session.scalars(
            select(ReviewFlag).where(
                ReviewFlag.project == project, ReviewFlag.status.in_(("suspect", "reported"))
            )
        )
        for flag in suspects:
            annotation = by_id.get(flag.annotation_id)
            status = _verdict(flag, annotation, hashes.get(flag.task_id))
            later = made_from.get(flag.annotation_id, ())
            instead = None if annotation is None else correction(annotation, later)
            if status is None and instead is not None:
                _settle(flag, "confirmed" if instead.label == flag.given else "fixed")
                flag.decided_by, flag.settled_label = instead.annotator, instead.label or ""
                decisions.note(session, flag, flag.settled_label)
                settled += 1
            if status is None:
                continue
            _settle(flag, status)
            if annotation is not None and status in {"confirmed", "fixed"}:
                # What the person saved is what stays silent until it changes.
                flag.values, flag.annotation_updated_at = annotation.values, annotation.updated_at
                flag.decided_by = annotation.updated_by
                flag.settled_label = annotation.label or ""
                decisions.note(session, flag, flag.settled_label)
            settled += 1
    return settled


def _verdict(flag: ReviewFlag, annotation: Annotation | None, text_hash: str | None) -> str | None:
    if annotation is None or annotation.was_cancelled or annotation.label is None:
        return "withdrawn"
    if text_hash != flag.text_hash:
        return "withdrawn"
    if annotation.updated_at == flag.annotation_updated_at:
        return None
    return "confirmed" if annotation.values == flag.values else "fixed"


def _settle(flag: ReviewFlag, status: str) -> None:
    flag.status, flag.decided_at, flag.shown = status, datetime.now(UTC), False


def update_flags(
    db: Database, project: str, dataset: Dataset, issues: Sequence[LabelIssue], space: LabelSpace
) -> None:
    """Raise flags for new issues, refresh those that stand, withdraw those whose evidence is gone."""
    with db.session() as session:
        flags = {
            f.task_id: f for f in session.scalars(select(ReviewFlag).where(ReviewFlag.project == project))
        }
        raised = set()
        for issue in issues:
            human = dataset.humans[issue.position]
            task = dataset.tasks[int(dataset.labelled[issue.position])]
            annotation = session.get(Annotation, (project, human.annotation_id))
            if annotation is None:
                continue
            flag = flags.get(human.task_id)
            if flag is not None and _silent(flag, human.label, task):
                continue
            raised.add(human.task_id)
            if flag is None:
                flag = ReviewFlag(project=project, task_id=human.task_id, status="new")
                session.add(flag)
            _raise(flag, issue, annotation, task, space)
        for task_id, flag in flags.items():
            if flag.status == "suspect" and task_id not in raised:
                _settle(flag, "withdrawn")


def _silent(flag: ReviewFlag, label: str, task: Task) -> bool:
    """A person has decided on this very label of this very text; another's agreement does not open it again."""
    return (
        flag.status in {"confirmed", "fixed", "reported"}
        and flag.settled_label == label
        and flag.text_hash == task.text_hash
    )


def _raise(
    flag: ReviewFlag, issue: LabelIssue, annotation: Annotation, task: Task, space: LabelSpace
) -> None:
    given, suggested = space.labels[issue.given], space.labels[issue.suggested]
    moved = flag.status != "suspect" or flag.suggested != suggested or flag.given != given
    if moved or abs(flag.score - issue.score) > SCORE_MOVED:
        flag.shown = False
        flag.score, flag.reason = round(issue.score, 3), told(issue.reason)
    flag.doubt = round(issue.doubt, 6)
    if flag.status != "suspect":
        flag.flagged_at, flag.decided_at, flag.decided_by = datetime.now(UTC), None, None
    flag.status, flag.given, flag.suggested = "suspect", given, suggested
    flag.annotation_id, flag.values = annotation.annotation_id, annotation.values
    flag.annotation_updated_at, flag.text_hash = annotation.updated_at, task.text_hash or ""


def told(reason: str) -> str:
    """What the reviewer reads: why the label is doubted, and the two ways to answer; at most 120 characters."""
    return f"{reason[: REASON_CHARS - len(GESTURES) - 2].rstrip('. ')}. {GESTURES}"


def show_flags(db: Database, client: LabelStudioClient, project: Project, control: Control) -> int:
    """Write what changed into the tasks' data fields; how many tasks were written.

    Fields are written before the status, so that a row never appears in the tab half-filled.
    """
    with db.session() as session:
        # Decisions first, then the worst; each costs a few calls, and the next run waits behind them.
        waiting = session.scalars(
            select(ReviewFlag)
            .where(ReviewFlag.project == project.key, ReviewFlag.shown.is_(False))
            .order_by((ReviewFlag.status == "suspect").asc(), ReviewFlag.score.desc())
            .limit(SHOWN_PER_RUN)
        ).all()
    suspects = [flag for flag in waiting if flag.status == "suspect"]
    values: dict[tuple[str, str | float], list[int]] = defaultdict(list)
    for flag in suspects:
        values[SCORE, flag.score].append(flag.task_id)
        values[CURRENT, flag.given].append(flag.task_id)
        values[SUGGESTED, flag.suggested].append(flag.task_id)
        values[REASON, flag.reason].append(flag.task_id)
    for flag in waiting:
        if flag.status != "suspect":
            # Always a number: one other value in this field breaks the tab for everybody on Postgres.
            values[SCORE, 0.0].append(flag.task_id)
    for flag in waiting:
        values[STATUS, flag.status].append(flag.task_id)
    for (field, value), task_ids in values.items():
        client.set_data_field(project.project_id, task_ids, field, value)
    _show_suggestions(client, project, control, [f for f in suspects if f.suggested != f.suggestion_shown])
    with db.session() as session:
        for flag in waiting:
            row = session.get(ReviewFlag, (project.key, flag.task_id))
            if row is not None and row.status == flag.status and row.score == flag.score:
                row.shown = True
                row.suggestion_shown = row.suggested if row.status == "suspect" else row.suggestion_shown
    return len(waiting)


def _show_suggestions(
    client: LabelStudioClient, project: Project, control: Control, changed: Sequence[ReviewFlag]
) -> None:
    """The suggested label as a prediction tab beside the annotation, one on each task.

    One that stands there is changed under its id: evidence may waver, and a page may hold the row. It is
    looked for even when we remember none: a run that was cut off has forgotten what it wrote.
    """
    new = []
    for flag in changed:
        row = to_prediction(flag.task_id, control, flag.suggested, flag.score, flag.score, SUGGESTION_VERSION)
        stands = [
            one for one in client.predictions_of(flag.task_id) if one["model_version"] == SUGGESTION_VERSION
        ]
        if stands:
            client.change_prediction(int(stands[0]["id"]), result=row["result"], score=row["score"])
        else:
            new.append(row)
    if new and client.import_predictions(project.project_id, new) != len(new):
        raise PublishError("Label Studio did not take all suggestions of the review tab")


def flags(db: Database, project: str) -> Sequence[ReviewFlag]:
    """All flags of a project, worst first."""
    with db.session() as session:
        return session.scalars(
            select(ReviewFlag).where(ReviewFlag.project == project).order_by(ReviewFlag.score.desc())
        ).all()
