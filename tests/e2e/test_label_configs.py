"""Every config that we hand out, in a real Label Studio: accepted as a config, and its predictions as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_backend.controls import find_control
from ml_backend.payloads import to_prediction
from tests.e2e.label_studio import LabelStudioUnderTest

ROOT = Path(__file__).parents[2]
CONFIGS = sorted([*ROOT.glob("label_config/*.xml"), *ROOT.glob("ml_backend/demo/data/*.xml")])


@pytest.mark.e2e
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_label_studio_accepts(label_studio: LabelStudioUnderTest, path: Path) -> None:
    """Valid config, one task per label, and every one of our predictions is created."""
    config = path.read_text()
    control = find_control(config)
    headers = {"Authorization": f"Token {label_studio.token}"}
    with httpx.Client(base_url=label_studio.url, headers=headers, timeout=60) as http:

        def call(path: str, body: object) -> Any:
            answer = http.post(path, json=body)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

        call("/api/projects/validate/", {"label_config": config})
        project = call("/api/projects", {"title": path.stem, "label_config": config})["id"]
        try:
            tasks = [{control.field: f"text {label}"} for label in control.label_space.labels]
            ids = call(f"/api/projects/{project}/import?return_task_ids=true", tasks)["task_ids"]
            rows = [
                to_prediction(task, control, label, 0.9, 0.5, "ale-1")
                for task, label in zip(ids, control.label_space.labels, strict=True)
            ]
            assert call(f"/api/projects/{project}/import/predictions", rows)["created"] == len(rows)
        finally:
            http.delete(f"/api/projects/{project}")
