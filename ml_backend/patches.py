"""What shipped patches change in what a teacher is told: hints of labels, and standing contrast examples.

The question itself stays as it is, so that nothing that was answered is paid again; the prompt's fingerprint
changes, and each answer carries the one that it was given to. People have the last word: a patch whose label they
took out, whose hint they edited, or whose examples they labelled otherwise, is off, and is said to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import select

from ale.errors import ConfigurationError
from ale.teachers.llm import Shot, ShotSet, make_shots
from ale.types import LabelSpace
from ml_backend.dataset import build_dataset
from ml_backend.reserve import reserve_of
from ml_backend.shots import labelled_texts, left_out_tasks
from ml_backend.store import mirror, patches, trials
from ml_backend.store.database import Database
from ml_backend.store.schema import Annotation, Project, PromptPatch, Task


@dataclass(frozen=True, slots=True)
class Told:
    """What a teacher is told besides the text: the label space with its hints, and the few-shot examples."""

    space: LabelSpace
    shots: ShotSet


def told(db: Database, project: str, teacher: str, space: LabelSpace, shots: ShotSet) -> Told:
    """The label space and the frozen examples with all patches of the teacher that are in force, oldest first."""
    now = Told(space, shots)
    for patch, off in shipped(db, project, space, teacher):
        if not off:
            now = with_patch(db, now, patch)
    return now


def with_patch(db: Database, now: Told, patch: PromptPatch) -> Told:
    """The same with one patch more. What the examples of a patch say already stands there only once."""
    label = now.space.labels.index(patch.label)
    if patch.kind == "hint":
        hints = list(now.space.hints)
        hints[label] = worded(now.space, label, patch.text)
        return replace(now, space=replace(now.space, hints=tuple(hints)))
    texts = mirror.texts(db, patch.project, [name for name, *_ in patch.examples])
    there = {shot.text for shot in now.shots.standing}
    more = [
        Shot(texts[name], now.space.labels.index(said), note)
        for name, said, note in patch.examples
        if name in texts and texts[name] not in there
    ]
    if not more:
        return now
    return replace(now, shots=make_shots([*now.shots.standing, *more], now.shots.pool, now.shots.vectors))


def worded(space: LabelSpace, label: int, hint: str) -> str:
    """The hint as the prompt has it: after the name that annotators see, where the label is called otherwise."""
    return ": ".join([*space.aliases[label][:1], hint])


def shipped(
    db: Database, project: str, space: LabelSpace, teacher: str | None = None
) -> list[tuple[PromptPatch, str]]:
    """Shipped patches, oldest first, each with the reason why it is off; empty when it is in force."""
    rows = [row for row in patches.every(db, project, teacher) if row.state == "shipped"]
    return [(row, why_off(db, row, space)) for row in rows]


def why_off(db: Database, patch: PromptPatch, space: LabelSpace) -> str:
    """What people have done since, so that the patch does not apply; empty when it does."""
    for label in filter(None, (patch.label, patch.other)):
        if space.index(label) is None:
            return f'the label "{label}" is not in the config any more'
    if patch.kind == "hint":
        edited = space.hints[space.labels.index(patch.label)] != patch.own_hint
        return f'the hint of "{patch.label}" was edited in the config since' if edited else ""
    settled = _settled(db, patch.project, [name for name, *_ in patch.examples], space)
    if any(settled.get(name) != label for name, label, _ in patch.examples):
        return "people have taken back the label of one of its examples, or its text is gone"
    return ""


def undo(db: Database, project: str, number: int) -> PromptPatch:
    """Take a shipped patch back, and put the gold answers from before it in force again.

    Raises ConfigurationError for a number that is none, and for a patch that is not shipped.
    """
    patch = patches.find(db, project, number)
    if patch is None or patch.state != "shipped":
        state = "not known in this project" if patch is None else patch.state.replace("_", " ")
        raise ConfigurationError(f"patch {number} is {state}: only a shipped one can be undone")
    with db.session() as session:
        patches.change_in(session, patch, state="undone", decided_at=datetime.now(UTC))
        trials.adopt(session, patch.teacher, patch.question, patch.before, instead_of=patch.after)
    return patch


def _settled(db: Database, project: str, hashes: Sequence[str], space: LabelSpace) -> dict[str, str]:
    """What people say about a few texts, as few-shot examples may be made of it."""
    with db.session() as session:
        row = session.get(Project, project)
        tasks = session.scalars(select(Task).where(Task.project == project, Task.text_hash.in_(hashes))).all()
        annotations: Iterable[Annotation] = session.scalars(
            select(Annotation).where(
                Annotation.project == project, Annotation.task_id.in_([task.task_id for task in tasks])
            )
        ).all()
    dataset = build_dataset(tasks, annotations, space, None if row is None else reserve_of(row))
    humans = labelled_texts(dataset, left_out_tasks(db, project))
    return {human.text_hash: space.labels[human.label] for human in humans}
