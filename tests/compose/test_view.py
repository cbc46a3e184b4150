"""What a person sees of the compose stack: sign in, five tasks by keyboard, the order, the review tab."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import REVIEW_TITLE, UNSURE_TITLE, LabelStudioPages
from tests.compose.stack import Stack

pytestmark = pytest.mark.browser


def test_five_tasks_by_keyboard(stack: Stack, pages: LabelStudioPages) -> None:
    """They come in the published order with their suggestion ticked; what was answered is learnt."""
    said = stack.ale("demo-project")
    project_id = int(re.findall(r"/projects/(\d+)/data", said)[0])
    client = stack.client()
    version = client.project(project_id)["model_version"]
    rows = [p for p in client.predictions(project_id) if p["model_version"] == version]
    order = [int(p["task"]) for p in sorted(rows, key=lambda p: (p["score"], p["task"]))]

    pages.open_project(project_id)
    pages.shoot("compose-1-project")
    pages.label_all(project_id)
    served = [pages.task_id]
    for n in range(5):
        expect(pages.page.locator(".lsf-choice input:checked")).to_have_count(1)
        if n == 0:
            pages.shoot("compose-2-first-task")
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
