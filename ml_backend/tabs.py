"""The two Data Manager tabs that ALE keeps: suspected label errors, worst first; and the least sure tasks."""

from __future__ import annotations

from typing import Any

from ml_backend.controls import Control
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.review_flags import CURRENT, FIELDS, REASON, SCORE, STATUS, SUGGESTED
from ml_backend.store import projects
from ml_backend.store.database import Database
from ml_backend.store.schema import Project

REVIEW_TITLE = "Suspected label errors"
UNSURE_TITLE = "Least sure"


def ensure_tabs(db: Database, client: LabelStudioClient, project: Project, control: Control) -> None:
    """Create the tabs, or put them right again; a tab that the user deleted comes back."""
    columns = set(client.columns(project.project_id)) | {f"tasks:data.{name}" for name in FIELDS}
    theirs = {int(view["id"]): view for view in client.views(project.project_id)}
    wanted = {
        "review_view_id": review_tab(control, columns),
        "unsure_view_id": unsure_tab(control, columns),
    }
    for column, data in wanted.items():
        known = getattr(project, column)
        if known not in theirs:
            known = next((i for i, v in theirs.items() if v["data"].get("title") == data["title"]), None)
        saved = client.save_view(project.project_id, data, known)
        projects.change(db, project.key, **{column: int(saved["id"])})


def review_tab(control: Control, columns: set[str]) -> Json:
    """Worst first; what a reviewer needs is visible without scrolling, also in the narrow list of quick view."""
    field = f"tasks:data.{control.field}"
    fields = [f"tasks:data.{name}" for name in FIELDS]
    return {
        "title": REVIEW_TITLE,
        **_table(
            columns,
            explore={"tasks:id", field, *fields} - {f"tasks:data.{STATUS}"},
            labeling={"tasks:id", f"tasks:data.{SUGGESTED}"},
        ),
        "filters": _all([_rule(f"data.{STATUS}", "equal", "String", "suspect")]),
        "ordering": [f"-tasks:data.{SCORE}"],
        # Without this Postgres would sort the numbers as text.
        "columnsDisplayType": {f"tasks:data.{SCORE}": "Number"},
        "columnsWidth": {
            field: 420,
            f"tasks:data.{REASON}": 430,
            f"tasks:data.{CURRENT}": 170,
            f"tasks:data.{SUGGESTED}": 180,
            f"tasks:data.{SCORE}": 190,
        },
    }


def unsure_tab(control: Control, columns: set[str]) -> Json:
    """Unlabelled tasks in the order in which Label Studio serves them, with suggestion and score."""
    field = f"tasks:data.{control.field}"
    shown = {"tasks:id", field, "tasks:predictions_score", "tasks:predictions_model_versions"}
    return {
        "title": UNSURE_TITLE,
        **_table(columns, explore=shown, labeling={"tasks:id", "tasks:predictions_score"}),
        "filters": _all([_rule("total_annotations", "equal", "Number", 0)]),
        "ordering": ["tasks:predictions_score"],
        "columnsDisplayType": {},
        "columnsWidth": {field: 640, "tasks:predictions_score": 160},
    }


def _table(columns: set[str], *, explore: set[str], labeling: set[str]) -> Json:
    return {
        "type": "list",
        "target": "tasks",
        "gridWidth": 4,
        "hiddenColumns": {"explore": sorted(columns - explore), "labeling": sorted(columns - labeling)},
    }


def _all(items: list[Json]) -> Json:
    return {"conjunction": "and", "items": items}


def _rule(column: str, operator: str, kind: str, value: Any) -> Json:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}
