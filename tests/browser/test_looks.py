"""What people see, at 1400 x 900: nothing that matters is cut off. Leaves pictures for a person to look at."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import expect

from ml_backend.demo import sample
from ml_backend.review_flags import CURRENT, REASON, SCORE, SUGGESTED, flags
from tests.browser.pages import REVIEW_TITLE, UNSURE_TITLE, LabelStudioPages
from tests.e2e.loop import Loop, NewLoop, chosen
from tests.e2e.messages import Message

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

LABELLED = 150


def label_some(loop: Loop) -> None:
    """Import some messages with their labels, every tenth of them wrong."""
    control, rng = loop.control, random.Random(5)
    tasks = []
    for n, message in enumerate(sample.pool()[:LABELLED]):
        others = [label for label in control.label_space.labels if label != message.label]
        given = rng.choice(others) if n % 10 == 3 else message.label
        result = [control.region(given) | {"id": f"r{n}"}]
        tasks.append(
            {"data": {sample.FIELD: message.text}, "annotations": [{"result": result, "lead_time": 2.0}]}
        )
    loop.ale.client.import_tasks(loop.project_id, tasks)


def test_the_sample_project_reads_well(pages: LabelStudioPages, new_loop: NewLoop) -> None:
    """Instructions, suggestion and hints in the editor; the first tab is Label Studio's own; both tabs of ours
    show what they are for without scrolling; quick view shows the suggested label beside the annotation.
    """
    values = sample.project_values()
    pool = [Message(message.text, message.label) for message in sample.pool()[LABELLED:]]
    loop = new_loop(pool, values.pop("label_config"), **{k: v for k, v in values.items() if k != "title"})
    loop.start()
    loop.pass_audit()

    pages.open_project(loop.project_id)
    expect(pages.page.get_by_text("Default").first).to_be_visible()
    pages.page.get_by_role("button", name="Label All Tasks").click()
    expect(pages.page.get_by_text("Labeling Instructions")).to_be_visible()
    expect(pages.page.get_by_text("Press its key twice, then Ctrl+Enter.", exact=False)).to_be_visible()
    pages.shoot("1-instructions")

    pages.label_all(loop.project_id)
    suggested = chosen(loop.predictions()[pages.task_id]["result"])
    assert suggested is not None
    pages.expect_chosen(suggested)
    pages.page.locator(".lsf-choice").get_by_text(suggested).hover()
    hint = next(line for line in sample.label_config().splitlines() if f'value="{suggested}"' in line)
    expect(pages.page.get_by_text(hint.split('hint="')[1].split('"')[0])).to_be_visible()
    pages.shoot("2-labelling")

    label_some(loop)
    loop.learn()
    worst = flags(loop.ale.services.db, loop.key)[0]

    unsure, review = loop.row.unsure_view_id, loop.row.review_view_id
    assert unsure is not None
    assert review is not None
    pages.open_project(loop.project_id)
    expect(pages.page.get_by_test_id("table-row").nth(5)).to_be_visible()
    pages.shoot("3-default")
    pages.open_tab(UNSURE_TITLE, loop.project_id, unsure)
    expect(pages.page.get_by_test_id("table-row").nth(5)).to_be_visible()
    assert pages.is_in_window("Prediction score")
    pages.shoot("4-least-sure")

    pages.open_tab(REVIEW_TITLE, loop.project_id, review)
    expect(pages.page.get_by_test_id("table-row").first).to_contain_text(worst.given)
    pages.shoot("5-review")
    for heading in ("text", SCORE, CURRENT, SUGGESTED, REASON):
        assert pages.is_in_window(heading), heading
        assert pages.is_whole(heading), heading
    assert pages.is_in_window(worst.reason)
    assert pages.is_whole(worst.reason)

    pages.open_labelled(pages.page.get_by_test_id("table-row").first)
    assert pages.task_id == worst.task_id
    pages.expect_chosen(worst.given)
    expect(pages.page.get_by_test_id("table-row").first).to_contain_text(worst.suggested)
    pages.shoot("6-quick-view")
