"""What a fine-tuned model is called as a teacher, and whether it still knows what it is asked."""

from __future__ import annotations

from ml_backend.instructions import space_of
from ml_backend.store import tunings
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, TunedModel


def entry_of(tuned: TunedModel, project: Project) -> str:
    """How ALE_TEACHER names it. At Azure a model answers once it is deployed, under a name of ours."""
    if tuned.provider == "azure":
        return f"azure:{deployment_of(tuned, project)}@{tuned.prompt_version}"
    return f"openai:{tuned.model}@{tuned.prompt_version}"


def deployment_of(tuned: TunedModel, project: Project) -> str:
    """What its deployment is to be called at Azure."""
    return f"ale-{project.project_id}-{tuned.id[:6]}"


def outgrown(db: Database, project: Project, teacher: str) -> str:
    """Why a fine-tuned teacher is not asked in this project; empty when it is, and for any other teacher.

    It has learnt codes for labels: with other labels, or in another order, it would answer with the wrong ones.
    """
    tuned = tunings.find_teacher(db, teacher)
    if tuned is None or tuple(tuned.labels) == space_of(project).labels:
        return ""
    return (
        f"{teacher} was fine-tuned on the labels {', '.join(tuned.labels)}, which this project does not have just "
        f"so: train it again (`ale teach {project.project_id} --finetune`), or let ALE_TEACHER name its base"
    )
