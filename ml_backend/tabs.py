"""The two Data Manager tabs that ALE keeps: suspected label errors, worst first; and the least sure tasks.

Widths are tried in a browser of 1400 pixels (tests/browser): what a person needs is there without scrolling.
"""

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
DEFAULT_TITLE = "Default"


def ensure_tabs(db: Database, client: LabelStudioClient, project: Project, control: Control) -> None:
    """Create the tabs, or put them right again; a tab that the user deleted comes back."""
    number = project.project_id
    columns = set(client.columns(number)) | {f"tasks:data.{name}" for name in FIELDS}
    theirs = {int(view["id"]): view for view in client.views(number)}
    made: dict[str, int] = {}
    if not theirs:
        # Label Studio makes its own first tab only where there is none. Without it the review tab would be the
        # first page of the project, and "Label All Tasks" would serve only what that tab shows: nothing yet.
        made[DEFAULT_TITLE] = int(client.save_view(number, default_tab(control, columns))["id"])
    wanted = {
        "review_view_id": review_tab(control, columns),
        "unsure_view_id": unsure_tab(control, columns),
    }
    kept: dict[str, int] = {}
    for column, data in wanted.items():
        known = getattr(project, column)
        if known not in theirs:
            known = next((i for i, v in theirs.items() if v["data"].get("title") == data["title"]), None)
        kept[column] = int(client.save_view(number, data, known)["id"])
        if known is None:
            made[data["title"]] = kept[column]
    instead = _take_back_doubles(client, number, made)
    projects.change(db, project.key, **{column: instead.get(view, view) for column, view in kept.items()})


def _take_back_doubles(client: LabelStudioClient, project: int, made: dict[str, int]) -> dict[int, int]:
    """Delete what was just made where another process has made it first; the older tab's id for each of those.

    `ale connect` and the worker, which hears of the new backend, may connect a project at the same moment.
    """
    if not made:
        return {}
    older: dict[int, int] = {}
    for view in client.views(project):
        mine = made.get(view["data"].get("title"))
        if mine is not None and int(view["id"]) < mine:
            older[mine] = min(int(view["id"]), older.get(mine, mine))
    for mine in older:
        client.delete_view(mine)
    return older


def review_tab(control: Control, columns: set[str]) -> Json:
    """Worst first; the narrow list of quick view has room for one column: what the model would say."""
    field = f"tasks:data.{control.field}"
    fields = [f"tasks:data.{name}" for name in FIELDS]
    return {
        "title": REVIEW_TITLE,
        **_table(
            columns,
            explore={"tasks:id", field, *fields} - {f"tasks:data.{STATUS}"},
            labeling={f"tasks:data.{SUGGESTED}"},
        ),
        "filters": _all([_rule(f"data.{STATUS}", "equal", "String", "suspect")]),
        "ordering": [f"-tasks:data.{SCORE}"],
        # Without this Postgres would sort the numbers as text.
        "columnsDisplayType": {f"tasks:data.{SCORE}": "Number"},
        # Narrower than its heading, a column would be cut; longer texts are wrapped to three lines.
        "columnsWidth": {
            "tasks:id": 70,
            field: 330,
            f"tasks:data.{SCORE}": 200,
            f"tasks:data.{CURRENT}": 180,
            f"tasks:data.{SUGGESTED}": 195,
            f"tasks:data.{REASON}": 250,
        },
    }


def unsure_tab(control: Control, columns: set[str]) -> Json:
    """Unlabelled tasks in the order in which Label Studio serves them."""
    field = f"tasks:data.{control.field}"
    return {
        "title": UNSURE_TITLE,
        **_table(
            columns,
            explore={"tasks:id", field, "tasks:predictions_score"},
            labeling={"tasks:predictions_score"},
        ),
        "filters": _all([_rule("total_annotations", "equal", "Number", 0)]),
        "ordering": ["tasks:predictions_score"],
        "columnsDisplayType": {},
        "columnsWidth": {"tasks:id": 90, field: 960, "tasks:predictions_score": 180},
    }


def default_tab(control: Control, columns: set[str]) -> Json:
    """All tasks, with the columns of Label Studio's own first tab and no room taken by ours."""
    ours = {f"tasks:data.{name}" for name in FIELDS}
    data = {name for name in columns if name.startswith("tasks:data.")} - ours
    counts = {f"tasks:{name}" for name in ("total_annotations", "cancelled_annotations", "total_predictions")}
    return {
        "title": DEFAULT_TITLE,
        **_table(
            columns,
            explore={"tasks:id", "tasks:completed_at", "tasks:annotators"} | counts | data,
            labeling={"tasks:total_annotations"} | data,
        ),
        "columnsWidth": {f"tasks:data.{control.field}": 560},
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
