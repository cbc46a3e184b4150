"""Label Studio in a browser, in the words of a person who labels: open, press a key, submit, look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from ml_backend.tabs import REVIEW_TITLE, UNSURE_TITLE

PATIENCE_MS = 60_000
"""Only a broken test waits this long."""
NARROWEST = (1400, 900)
"""The window in which everything must be readable."""


@dataclass(frozen=True, slots=True)
class LabelStudioPages:
    """One signed-in browser window."""

    page: Page
    url: str
    shots: Path

    def shoot(self, name: str) -> Path:
        """A picture of the window."""
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    # -- Data Manager --------------------------------------------------------------------------------

    def open_project(self, project_id: int) -> None:
        """The Data Manager, as a click on the project shows it."""
        self.page.goto(f"{self.url}/projects/{project_id}/data")
        expect(self.page.get_by_role("button", name="Label All Tasks")).to_be_visible()

    def open_tab(self, title: str, project_id: int, view_id: int) -> None:
        """A tab by its address; Label Studio shortens the title in the tab's head."""
        self.page.goto(f"{self.url}/projects/{project_id}/data?tab={view_id}")
        expect(self.page.get_by_text(title[:15]).first).to_be_visible()
        expect(self.page.get_by_role("button", name="Label All Tasks")).to_be_visible()

    @property
    def rows(self) -> Locator:
        """All rows of the tab."""
        return self.page.get_by_test_id("table-row")

    def row(self, text: str) -> Locator:
        """The row that shows a text."""
        return self.rows.filter(has_text=text)

    def is_in_window(self, text: str) -> bool:
        """Whether a heading or cell lies inside the window with its whole width."""
        box = self.page.get_by_text(text, exact=True).first.bounding_box()
        return box is not None and box["x"] >= 0 and box["x"] + box["width"] <= NARROWEST[0]

    def is_whole(self, text: str) -> bool:
        """Whether the text is drawn in full: neither the element nor one around it cuts it off."""
        script = """element => {
            const own = element.getBoundingClientRect();
            for (let around = element; around; around = around.parentElement) {
                const clips = getComputedStyle(around).overflowX !== "visible";
                const box = around.getBoundingClientRect();
                if (clips && (own.right > box.right + 1 || element.scrollWidth > box.width + 1)) return false;
                if (clips && getComputedStyle(around).overflowY !== "visible"
                    && element.scrollHeight > box.height + 1) return false;
            }
            return true;
        }"""
        return bool(self.page.get_by_text(text, exact=True).first.evaluate(script))

    # -- the editor ----------------------------------------------------------------------------------

    def label_all(self, project_id: int) -> None:
        """Enter the stream of tasks from the first tab; the instructions are read and closed."""
        self.open_project(project_id)
        self.page.get_by_role("button", name="Label All Tasks").click()
        self._editor()
        if self.page.get_by_text("Labeling Instructions").is_visible():
            self.page.keyboard.press("Escape")
            expect(self.page.get_by_text("Labeling Instructions")).to_be_hidden()

    def open_labelled(self, row: Locator) -> None:
        """Quick view: a click on a row of the Data Manager whose task has an annotation."""
        row.click()
        expect(self.page.get_by_test_id("bottombar-update-button")).to_be_visible()
        # The form is drawn first, empty, and listens to keys only when the annotation is in it.
        expect(self.page.locator(".lsf-choice input:checked")).to_have_count(1)

    def _editor(self) -> None:
        expect(self.page.get_by_test_id("bottombar-submit-button")).to_be_visible()
        expect(self.page.locator(".lsf-choice").first).to_be_visible()

    def expect_chosen(self, *labels: str) -> None:
        """Exactly these labels are ticked, now or soon."""
        for label in labels:
            expect(self.choice(label)).to_be_checked()
        expect(self.page.locator(".lsf-choice input:checked")).to_have_count(len(labels))

    @property
    def task_id(self) -> int:
        """The task on the page."""
        text = self.page.locator(".lsf-current-task__task-id").inner_text()
        match = re.search(r"\d+", text)
        assert match, text
        return int(match[0])

    def choice(self, label: str) -> Locator:
        """The box of a label."""
        return self.page.locator(".lsf-choice").locator(f'input[name="{label}"]')

    def press(self, key: str, label: str, *, ticked: bool = True) -> None:
        """Press the label's key; its box follows."""
        self.page.keyboard.press(key)
        expect(self.choice(label)).to_be_checked(checked=ticked)

    def submit(self) -> Any:
        """Ctrl+Enter; what Label Studio answered to the annotation that the page sent."""
        with self.page.expect_response(
            lambda r: (
                re.search(r"/annotations(/\d+)?/?(\?|$)", r.url) is not None
                and r.request.method in {"POST", "PATCH"}
            )
        ) as saved:
            self.page.keyboard.press("Control+Enter")
        assert saved.value.ok, f"{saved.value.status} {saved.value.text()[:300]}"
        return saved.value.json()

    def wait_for_next(self, before: int) -> int:
        """The task that follows after a submit."""
        expect(self.page.locator(".lsf-current-task__task-id")).not_to_contain_text(
            re.compile(rf"^{before}\b")
        )
        self._editor()
        return self.task_id


__all__ = ["NARROWEST", "PATIENCE_MS", "REVIEW_TITLE", "UNSURE_TITLE", "LabelStudioPages"]
