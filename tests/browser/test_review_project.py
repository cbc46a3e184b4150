"""The review project in a browser: a person sees what is doubted and why, and answers with one key."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import expect

from ml_backend.demo import sample
from ml_backend.review_flags import flags
from ml_backend.review_project.run import review_as_project
from ml_backend.store import review_project as stored
from tests.browser.pages import LabelStudioPages
from tests.e2e.loop import NewLoop
from tests.e2e.messages import Message

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_the_stream_of_the_review_project_needs_no_manual(pages: LabelStudioPages, new_loop: NewLoop) -> None:
    """Text, current label, suggestion and reason are whole in the window, the suggestion is chosen, and Ctrl+Enter
    takes it; the fix then stands on the original task.
    """
    values = sample.project_values()
    pool = [Message(message.text, message.label) for message in sample.pool()[120:]]
    loop = new_loop(pool, values.pop("label_config"), **{k: v for k, v in values.items() if k != "title"})
    control, rng, tasks = loop.control, random.Random(5), []
    for n, message in enumerate(sample.pool()[:120]):
        others = [label for label in control.label_space.labels if label != message.label]
        given = rng.choice(others) if n % 10 == 3 else message.label
        result = [control.region(given) | {"id": f"r{n}"}]
        tasks.append(
            {"data": {sample.FIELD: message.text}, "annotations": [{"result": result, "lead_time": 2.0}]}
        )
    loop.ale.client.import_tasks(loop.project_id, tasks)
    loop.start()
    review_as_project(loop.ale.services, loop.project_id, write_back=False)
    row = stored.find(loop.ale.services.db, loop.key)
    assert row is not None

    pages.label_all(row.review_project_id)
    by_task = {flag.task_id: flag for flag in flags(loop.ale.services.db, loop.key)}
    task = loop.ask("GET", f"tasks/{pages.task_id}/")
    flag = by_task[task["data"]["ale_review"]["task"]]
    pages.expect_chosen(flag.suggested)
    for line in (f"Current label: {flag.given}", f"Suggested: {flag.suggested}", "Why"):
        expect(pages.page.get_by_text(line, exact=True)).to_be_visible()
        assert pages.is_whole(line)
    expect(pages.page.get_by_text("Similar, labelled").first).to_be_visible()
    pages.shoot("review_project")
    saved = pages.submit()
    assert saved["result"][0]["value"]["choices"] == [flag.suggested]

    report = review_as_project(loop.ale.services, loop.project_id, write_back=True)
    assert report.outcomes == {"fixed": 1}
    written = [a for a in loop.annotations(flag.task_id) if a["parent_annotation"] == flag.annotation_id]
    assert [a["result"][0]["value"]["choices"] for a in written] == [[flag.suggested]]
