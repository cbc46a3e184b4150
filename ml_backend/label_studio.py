"""The only code that calls Label Studio's API: its end points, project by project, as typed methods.

Long because it is one method for each end point, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ale.errors import LabelStudioRefused, ProjectGone
from ml_backend.label_studio_http import WRITE_TIMEOUT_S, Json, LabelStudioHttp
from ml_backend.settings import Settings

__all__ = ["Json", "LabelStudioClient"]

PAGE = 500


class LabelStudioClient:
    """Label Studio's REST API. All methods raise the LabelStudioError tree."""

    def __init__(self, settings: Settings) -> None:
        self._http = LabelStudioHttp(settings)
        self.url = settings.label_studio_url

    # -- the project ---------------------------------------------------------------------------------

    def whoami(self) -> Json:
        """The user that our token belongs to."""
        return cast(Json, self._http.call("GET", "api/current-user/whoami"))

    def version(self) -> Json:
        """What Label Studio says about itself."""
        return cast(Json, self._http.call("GET", "api/version"))

    def project(self, project_id: int) -> Json:
        """The project with its counters; raises ProjectGone."""
        try:
            return cast(Json, self._http.call("GET", f"api/projects/{project_id}/"))
        except LabelStudioRefused as error:
            if error.status == 404:
                raise ProjectGone(f"project {project_id} does not exist on {self.url}") from error
            raise

    def projects(self) -> list[Json]:
        """All projects that our token sees (id, title, created_at)."""
        rows: list[Json] = []
        page = 1
        while True:
            answer = self._http.call(
                "GET",
                "api/projects/",
                params={"page": page, "page_size": 100, "include": "id,title,created_at"},
            )
            rows += answer["results"]
            if not answer.get("next"):
                return rows
            page += 1

    def create_project(self, **values: Any) -> Json:
        """A new project."""
        return cast(Json, self._http.call("POST", "api/projects/", body=values))

    def update_project(self, project_id: int, **values: Any) -> Json:
        """Change columns of a project."""
        return cast(Json, self._http.call("PATCH", f"api/projects/{project_id}/", body=values))

    # -- tasks and annotations -----------------------------------------------------------------------

    def import_tasks(self, project_id: int, tasks: Sequence[Json]) -> list[int]:
        """Ids of the imported tasks, in order. Never retried: see `import_predictions`."""
        answer = self._http.call(
            "POST",
            f"api/projects/{project_id}/import",
            params={"return_task_ids": True},
            body=list(tasks),
            retry=False,
            timeout=WRITE_TIMEOUT_S,
        )
        return cast(list[int], answer["task_ids"])

    def tasks(
        self,
        project_id: int,
        *,
        changed_after: str = "",
        ids: Sequence[int] = (),
        full_annotations: bool = False,
    ) -> Iterator[Json]:
        """Tasks with id, data, is_labeled, updated_at, and annotations as `{id, updated_at}` or whole.

        `changed_after` is an ISO time of Label Studio; a task's own `updated_at` moves with its annotations.
        """
        filters = []
        if changed_after:
            filters.append(_filter("updated_at", "greater", "Datetime", changed_after))
        if ids:
            filters.append(_filter("id", "in_list", "List", list(ids)))
        params: Json = {
            "project": project_id,
            "fields": "all",
            "page_size": 100 if full_annotations else PAGE,
        }
        if not full_annotations:
            params["include"] = "id,data,is_labeled,updated_at,annotations"
        if filters:
            params["query"] = json.dumps({"filters": {"conjunction": "and", "items": filters}})
        yield from self._pages(params)

    def count_tasks(self, project_id: int, field: str, start: str) -> int:
        """How many tasks have a data field that contains this text."""
        items = [_filter(f"data.{field}", "contains", "String", start)]
        params = {
            "project": project_id,
            "fields": "task_only",
            "page_size": 1,
            "query": json.dumps({"filters": {"conjunction": "and", "items": items}}),
        }
        return int(self._http.call("GET", "api/tasks", params=params)["total"])

    def task_data(self, project_id: int) -> Iterator[Json]:
        """All tasks with id and data."""
        params: Json = {"project": project_id, "fields": "all", "include": "id,data", "page_size": 2 * PAGE}
        yield from self._pages(params)

    def task_ids_with_version(self, project_id: int, version: str) -> set[int]:
        """Ids of the tasks that have a prediction of that version."""
        query = {
            "filters": {
                "conjunction": "and",
                "items": [_filter("predictions_model_versions", "contains", "List", [version])],
            }
        }
        params = {
            "project": project_id,
            "fields": "all",
            "include": "id",
            "page_size": 2 * PAGE,
            "query": json.dumps(query),
        }
        return {int(task["id"]) for task in self._pages(params)}

    def next_task(self, project_id: int) -> Json | None:
        """The task that Label Studio would hand to our user now; None when there is none left."""
        try:
            return cast(Json, self._http.call("GET", f"api/projects/{project_id}/next"))
        except LabelStudioRefused as error:
            if error.status == 404:
                return None
            raise

    def annotate(self, task_id: int, **values: Any) -> Json:
        """A new annotation by our user."""
        return cast(
            Json, self._http.call("POST", f"api/tasks/{task_id}/annotations/", body=values, retry=False)
        )

    def change_task_data(self, task_id: int, data: Json) -> None:
        """Replace the whole `data` of a task that is ours alone: what somebody else wrote there would be lost."""
        self._http.call("PATCH", f"api/tasks/{task_id}/", body={"data": data})

    def delete_task(self, task_id: int) -> None:
        """Delete a task with all that is on it; one that is gone already is fine."""
        self._delete(f"api/tasks/{task_id}/")

    def ask_again(self, task_id: int) -> None:
        """Serve an answered task once more, to somebody else. Neither field does anything alone."""
        self._http.call("PATCH", f"api/tasks/{task_id}/", body={"is_labeled": False, "overlap": 2})

    def ask_no_more(self, task_id: int) -> None:
        """Take it back: one answer is enough again, if it still stands. A task that is gone is fine."""
        try:
            task = self._http.call("GET", f"api/tasks/{task_id}/")
            answered = any(not one.get("was_cancelled") for one in task["annotations"])
            self._http.call("PATCH", f"api/tasks/{task_id}/", body={"is_labeled": answered, "overlap": 1})
        except LabelStudioRefused as error:
            if error.status != 404:
                raise

    def set_data_field(
        self, project_id: int, task_ids: Sequence[int], field: str, value: str | float
    ) -> None:
        """Set one data field of many tasks; other fields stay, and `updated_at` does not move.

        A PATCH of the task would replace its whole `data`, and with it what a user changed meanwhile.
        """
        self._http.call(
            "POST",
            "api/dm/actions",
            params={"id": "add_data_field", "project": project_id},
            body={
                "value_name": field,
                "value_type": "String" if isinstance(value, str) else "Number",
                "value": value,
                "selectedItems": {"all": False, "included": list(task_ids)},
            },
        )

    # -- predictions ---------------------------------------------------------------------------------

    def import_predictions(self, project_id: int, predictions: Sequence[Json]) -> int:
        """How many predictions Label Studio says it created. One big call beats many small ones.

        Never retried: a call that was cut off may have been carried out, and rows would double.
        """
        answer = self._http.call(
            "POST",
            f"api/projects/{project_id}/import/predictions",
            body=list(predictions),
            retry=False,
            timeout=WRITE_TIMEOUT_S,
        )
        return int(answer["created"])

    def model_versions(self, project_id: int) -> dict[str, int]:
        """Prediction rows by version."""
        answer = self._http.call("GET", f"api/projects/{project_id}/model-versions/")
        return {str(k): int(v) for k, v in cast(Json, answer).items()}

    def predictions(self, project_id: int) -> list[Json]:
        """All prediction rows of a project in one list (Label Studio does not page them)."""
        return cast(
            list[Json],
            self._http.call(
                "GET", "api/predictions/", params={"project": project_id}, timeout=WRITE_TIMEOUT_S
            ),
        )

    def predictions_of(self, task_id: int) -> list[Json]:
        """All prediction rows of one task."""
        return cast(list[Json], self._http.call("GET", "api/predictions/", params={"task": task_id}))

    def change_prediction(self, prediction_id: int, **values: Any) -> None:
        """Change a row under its id: a page that holds it can still submit."""
        self._http.call("PATCH", f"api/predictions/{prediction_id}/", body=values)

    def delete_prediction(self, prediction_id: int) -> None:
        """Delete one row; one that is gone already is fine."""
        try:
            self._http.call("DELETE", f"api/predictions/{prediction_id}/")
        except LabelStudioRefused as error:
            if error.status != 404:
                raise

    # -- webhooks, backends, tabs --------------------------------------------------------------------

    def webhooks(self, project_id: int) -> list[Json]:
        """The project's webhooks; headers are in the clear."""
        return cast(list[Json], self._http.call("GET", "api/webhooks/", params={"project": project_id}))

    def save_webhook(self, values: Json, webhook_id: int | None = None) -> Json:
        """Create or change a webhook. `values` must be whole: a PATCH without `actions` empties them."""
        if webhook_id is None:
            return cast(Json, self._http.call("POST", "api/webhooks/", body=values, retry=False))
        return cast(Json, self._http.call("PATCH", f"api/webhooks/{webhook_id}/", body=values))

    def delete_webhook(self, webhook_id: int) -> None:
        """Delete a webhook; one that is gone already is fine."""
        self._delete(f"api/webhooks/{webhook_id}/")

    def backends(self, project_id: int) -> list[Json]:
        """The project's ML backends. Label Studio asks each one's /health before it answers."""
        return cast(list[Json], self._http.call("GET", "api/ml/", params={"project": project_id}))

    def add_backend(self, **values: Any) -> Json:
        """Connect an ML backend. Label Studio calls /health and /setup before it answers."""
        return cast(Json, self._http.call("POST", "api/ml/", body=values, retry=False))

    def delete_backend(self, backend_id: int) -> None:
        """Disconnect an ML backend (its auto-created webhook stays behind); gone already is fine."""
        self._delete(f"api/ml/{backend_id}")

    def views(self, project_id: int) -> list[Json]:
        """The project's Data Manager tabs."""
        return cast(list[Json], self._http.call("GET", "api/dm/views/", params={"project": project_id}))

    def save_view(self, project_id: int, data: Json, view_id: int | None = None) -> Json:
        """Create or replace a tab."""
        body = {"project": project_id, "data": data}
        if view_id is None:
            return cast(Json, self._http.call("POST", "api/dm/views/", body=body, retry=False))
        return cast(Json, self._http.call("PATCH", f"api/dm/views/{view_id}/", body=body))

    def delete_view(self, view_id: int) -> None:
        """Delete a tab; one that is gone already is fine."""
        self._delete(f"api/dm/views/{view_id}/")

    def columns(self, project_id: int) -> list[str]:
        """Names of the Data Manager's task columns as tabs name them, e.g. `tasks:data.text`."""
        answer = self._http.call("GET", "api/dm/columns", params={"project": project_id})
        names = []
        for column in answer["columns"]:
            if "children" in column:
                continue
            parent = f"{column['parent']}." if column.get("parent") else ""
            names.append(f"{column['target']}:{parent}{column['id']}")
        return names

    def _pages(self, params: Json) -> Iterator[Json]:
        page = 1
        while True:
            try:
                answer = self._http.call("GET", "api/tasks", params={**params, "page": page})
            except LabelStudioRefused as error:
                if error.status == 404 and page > 1:
                    return  # the last page was full, or tasks were deleted while we read
                raise
            yield from answer["tasks"]
            if len(answer["tasks"]) < params["page_size"]:
                return
            page += 1

    def _delete(self, path: str) -> None:
        try:
            self._http.call("DELETE", path)
        except LabelStudioRefused as error:
            if error.status != 404:
                raise


def _filter(column: str, operator: str, kind: str, value: Any) -> Json:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}
