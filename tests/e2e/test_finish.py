"""`ale finish` on a project of the real Label Studio: refused, then granted, and the rest stays in the queue."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.loop import Loop, NewLoop
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e

AUDITS = 100
"""The first count at which a look is made."""


def finish(loop: Loop, out: Path) -> subprocess.CompletedProcess[str]:
    """`ale finish` as an operator runs it, in the environment of the processes."""
    command = ["finish", str(loop.project_id), "--max-error", "0.3", "--out", str(out)]
    line = [sys.executable, "-m", "ml_backend.cli", *command]
    return subprocess.run(line, env=loop.ale.env, capture_output=True, text=True, timeout=180, check=False)


def test_what_the_audit_proves_is_labelled_and_nothing_in_label_studio_changes(
    new_loop: NewLoop, tmp_path: Path
) -> None:
    """An audit that people answered wrongly counts against the promise; whoever labels after it goes on as before."""
    loop = new_loop(messages(560))  # a quarter is the reserve: 100 of it for sure
    loop.start()
    for task_id in loop.free[:24]:
        loop.annotate(task_id)
    shown = loop.reserve[:AUDITS]
    for task_id in shown[:30]:
        loop.annotate(task_id)
    loop.learn()
    early = finish(loop, tmp_path / "early")
    assert early.returncode == 1, early.stdout + early.stderr
    assert "Refused: 30 audit labels" in early.stdout
    assert f"the next look is at {AUDITS}" in early.stdout
    assert not (tmp_path / "early").exists()

    # One mistake, and a bound so wide that no draw of the audit is unlucky enough: the project's key decides the draw.
    mistaken = shown[40:41]
    for task_id in shown[30:]:
        wrong = next(label for label in LABELS if label != loop.truth[task_id])
        loop.annotate(task_id, wrong if task_id in mistaken else None)
    loop.learn()
    before, order = loop.theirs, loop.order()
    done = finish(loop, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "at most 30%" in done.stdout

    rows = [json.loads(line) for line in (tmp_path / "out" / "finished.jsonl").read_text().splitlines()]
    assert {row["task"] for row in rows} == loop.truth.keys()
    counts = Counter(row["provenance"] for row in rows)
    assert (counts["human"], counts["audit"]) == (24, AUDITS)
    assert counts["auto"] > 250
    auto = {row["task"]: row for row in rows if row["provenance"] == "auto"}
    assert sum(row["label"] != loop.truth[task_id] for task_id, row in auto.items()) <= 0.3 * len(auto)
    assert {row["version"] for row in auto.values()} == {loop.version}
    assert {row["label"] for row in rows if row["provenance"] == "none"} <= {None}
    certificate = (tmp_path / "out" / "certificate.md").read_text()
    assert f"{AUDITS} tasks in their order, 0 of them skipped" in certificate
    assert loop.theirs == before
    assert loop.order() == order, "what is not labelled stays in the queue"
    served = loop.next_task()
    assert served is not None
    assert int(served["id"]) == order[0]
