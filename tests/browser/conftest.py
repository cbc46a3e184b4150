"""A real Chromium that is signed in to the Label Studio of the test run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from tests.browser.pages import NARROWEST, PATIENCE_MS, LabelStudioPages
from tests.e2e.label_studio import LabelStudioUnderTest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: the folder named by ALE_SCREENSHOTS, else a temporary one."""
    named = os.environ.get("ALE_SCREENSHOTS")
    if not named:
        return tmp_path_factory.mktemp("screenshots")
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window. Per module: its event loop would trouble other tests."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is installed: no browser to try this in")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, label_studio: LabelStudioUnderTest) -> StorageState:
    """The cookies of a browser that has signed in by the form."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{label_studio.url}/user/login/")
    page.fill("input[name=email]", label_studio.email)
    page.fill("input[name=password]", label_studio.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url, timeout=PATIENCE_MS)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def pages(
    chromium: Browser, signed_in: StorageState, label_studio: LabelStudioUnderTest, shots: Path
) -> Iterator[LabelStudioPages]:
    """A fresh window that is signed in."""
    width, height = NARROWEST
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale="en-US", storage_state=signed_in
    )
    context.set_default_timeout(PATIENCE_MS)
    yield LabelStudioPages(context.new_page(), label_studio.url, shots)
    context.close()
