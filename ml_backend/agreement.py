"""Whether a paid teacher may be asked in a project: somebody has agreed to this teacher and to this question.

`ale teach --yes` agrees to what it is about to ask. Connecting agrees to the first question only, and to the
teachers that ALE_TEACHER names when it is asked. Whatever differs from that by a letter is bought by nobody
unasked: all texts would be paid once more.
"""

from __future__ import annotations

from ale.types import LabelSpace
from ml_backend.store import consents, replies
from ml_backend.store.database import Database
from ml_backend.store.schema import Project


def not_agreed(db: Database, project: Project, teacher: str, space: LabelSpace) -> str:
    """Why this question is not asked of this teacher: what has changed, and what to run. Empty when it may be."""
    number = project.project_id
    if not project.paid_teacher:
        return (
            f"{teacher} costs money, and nobody has agreed to that for this project: run `ale teach {number}`"
        )
    agreed = consents.agreed_to(db, project.key)
    if not agreed:
        return ""  # the first question
    mine = [row for row in agreed if row.teacher == teacher]
    if any(row.question == replies.question_of(space) for row in mine):
        return ""
    if not mine:
        others = ", ".join(sorted({row.teacher for row in agreed}))
        changed = f"ALE_TEACHER has changed: somebody has agreed to pay {others}, and not {teacher}"
    elif tuple(mine[-1].labels) != space.labels:
        changed = f"the labels have changed since somebody agreed to pay {teacher}"
    else:
        changed = f"the instructions, a hint or an alias have changed since somebody agreed to pay {teacher}"
    return f"{changed}. It is asked nothing before `ale teach {number} --yes`; `ale teach {number}` tries a sample"
