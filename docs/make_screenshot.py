"""Makes the README's picture: the review tab of the sample project, after an annotator made some mistakes.

`python -m docs.make_screenshot` starts everything on this machine (needs Chromium) and writes docs/review-tab.png.
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from benchmarks.pool import is_quiet
from benchmarks.stack import Stack, running_stack, say, wait_until
from ml_backend.connect import connect_project
from ml_backend.controls import find_control
from ml_backend.demo import sample
from ml_backend.demo.annotator import submission
from ml_backend.demo.project import create_sample_project
from ml_backend.store import projects
from ml_backend.tabs import REVIEW_TITLE
from tests.browser.pages import PATIENCE_MS, LabelStudioPages

OUT = Path(__file__).with_name("review-tab.png")
WINDOW = (1400, 640)
COLOURS = 128  # a screen of text needs no more, and the file is a third of the size
MAX_BYTES = 150_000


def label(stack: Stack, project_id: int, labels: int, seed: int) -> None:
    """An annotator who works in the order served, and errs once in ten."""
    meant = {message.text: message.label for message in sample.pool()}
    control = find_control(sample.label_config())
    rng = random.Random(seed)
    for n in range(labels):
        task = stack.client.next_task(project_id)
        if task is None:
            return
        right = meant[task["data"][sample.FIELD]]
        wrong = [name for name in control.label_space.labels if name != right]
        shown = (task.get("predictions") or [None])[0]
        given = rng.choice(wrong) if n % 10 == 5 else right
        stack.client.annotate(int(task["id"]), **submission(control, given, shown, 2.0))


def picture(stack: Stack, project_id: int, view_id: int) -> bytes:
    """The review tab as PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]}, locale="en-US")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{stack.client.url}/user/login/")
        page.fill("input[name=email]", stack.account.email)
        page.fill("input[name=password]", stack.account.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        pages = LabelStudioPages(page, stack.client.url, OUT.parent)
        pages.open_tab(REVIEW_TITLE, project_id, view_id)
        expect(page.get_by_test_id("table-row").nth(3)).to_be_visible()
        png = page.screenshot(animations="disabled")
        browser.close()
    return png


def main() -> None:
    """Write the picture; refuses one that is too large for a README."""
    parser = argparse.ArgumentParser("python -m docs.make_screenshot", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--labels", type=int, default=160, help="labels given before the picture is taken")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with running_stack() as stack:
        project_id = create_sample_project(stack.client)
        key = connect_project(stack.services, project_id).project.key
        wait_until("the first version", lambda: projects.get(stack.services.db, key).version)
        say("labelling")
        label(stack, project_id, args.labels, args.seed)
        wait_until("the last learn run", lambda: is_quiet(stack, key))
        view_id = projects.get(stack.services.db, key).review_view_id
        if view_id is None:
            raise SystemExit("the project has no review tab")
        png = picture(stack, project_id, view_id)
    small = (
        Image.open(io.BytesIO(png))
        .convert("RGB")
        .quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    small.save(args.out, optimize=True)
    size = args.out.stat().st_size
    say(f"{args.out}: {size / 1000:.0f} kB")
    if size > MAX_BYTES:
        raise SystemExit(f"more than {MAX_BYTES / 1000:.0f} kB")


if __name__ == "__main__":
    main()
