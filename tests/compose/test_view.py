"""What a person sees of the compose stack: sign in, five tasks by keyboard, the order, the review tab."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from ml_backend.controls import find_control
from tests.browser.pages import REVIEW_TITLE, UNSURE_TITLE, LabelStudioPages
from tests.compose.stack import Stack

pytestmark = pytest.mark.browser


def test_five_tasks_by_keyboard(stack: Stack, pages: LabelStudioPages) -> None:
    """They come in the published order with their suggestion ticked, but for the audit; all answers are counted."""
    said = stack.ale("demo-project")
    project_id = int(re.findall(r"/projects/(\d+)/data", said)[0])
    client = stack.client()
    theirs = client.project(project_id)
    version, control = theirs["model_version"], find_control(theirs["label_config"])
    rows = [p for p in client.predictions(project_id) if p["model_version"] == version]
    rows.sort(key=lambda p: (p["score"], p["task"]))
    order = [int(p["task"]) for p in rows]
    suggested = {int(p["task"]): control.read_label(p["result"]) for p in rows}

    pages.open_project(project_id)
    pages.shoot("compose-1-project")
    pages.label_all(project_id)
    served = [pages.task_id]
    for n in range(5):
        there = suggested[served[-1]] is not None
        expect(pages.page.locator(".lsf-choice input:checked")).to_have_count(int(there))
        if n == 0:
            pages.shoot("compose-2-first-task")
        if not there:
            pages.press("1", control.label_space.labels[0])
        pages.submit()
        served.append(pages.wait_for_next(served[-1]))
    assert served[:5] == order[:5]
    pages.shoot("compose-3-sixth-task")
    stack.learnt(project_id, 5)

    views = {view["data"].get("title"): view["id"] for view in client.views(project_id)}
    pages.open_tab(UNSURE_TITLE, project_id, views[UNSURE_TITLE])
    pages.shoot("compose-4-order")


def test_the_review_tab(stack: Stack, pages: LabelStudioPages) -> None:
    """In the project whose wrong labels were found: the worst stands first, with its suggestion and the reason."""
    client = stack.client()
    project_id = next(p["project"] for p in stack.status()["projects"] if p["review"].get("suspect"))
    view = next(v for v in client.views(project_id) if v["data"].get("title") == REVIEW_TITLE)
    first = stack.tab(view["id"])[0]
    pages.open_tab(REVIEW_TITLE, project_id, view["id"])
    pages.shoot("compose-5-review")
    row = pages.page.get_by_test_id("table-row").first
    expect(row).to_contain_text(first["data"]["text"][:40])
    expect(row).to_contain_text(first["data"]["ale_suggested_label"])
