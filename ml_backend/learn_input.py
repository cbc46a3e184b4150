"""From a project's data set to what the engine asks for."""

from __future__ import annotations

import numpy as np

from ale.engine import LearnInput
from ale.types import Embeddings, LabelSpace, Probs
from ml_backend.dataset import Dataset
from ml_backend.learning import Learning, seed_of
from ml_backend.reviewed import Reviewed
from ml_backend.settings import Settings
from ml_backend.store.schema import Project


def learn_input(
    settings: Settings,
    learning: Learning,
    project: Project,
    space: LabelSpace,
    dataset: Dataset,
    raw: Embeddings,
    teacher: Probs | None,
    reviewed: Reviewed,
) -> LearnInput:
    """All that the engine needs for one run over a project; row i of `raw` and `teacher` is task i."""
    candidates = np.zeros(len(dataset.tasks), dtype=bool)
    candidates[dataset.candidates] = True
    audit = dataset.audit
    return LearnInput(
        raw=raw,
        labelled=dataset.labelled,
        targets=dataset.targets,
        groups=dataset.groups,
        weights=dataset.weights,
        labels=space,
        strategy=learning.strategy,
        student=learning.student,
        teacher=teacher,
        candidates=candidates,
        batch=settings.batch,
        seed=seed_of(project.key),
        reviewed=reviewed.settled | reviewed.reported,
        past=reviewed.past,
        review_precision=settings.review_precision,
        audited=audit.measured,
        audit_targets=audit.measured_targets,
        audit_skipped=audit.skipped,
        audit_order=audit.order,
        audit_share=settings.audit_share,
        answered=audit.answered,
        audit_answered=audit.audited,
    )
