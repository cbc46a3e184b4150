"""`ale export --for-index` on a project of the real Label Studio: its labels end up in a file that Label Studio never saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.loop import Loop, NewLoop
from tests.e2e.messages import LABELS, messages

pytestmark = pytest.mark.e2e

AUDITS = 30


def ale(loop: Loop, *arguments: object, alone: bool = False) -> str:
    """A command as an operator runs it; `alone` where there is neither Label Studio, Redis nor a database."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(loop.ale.folder)} if alone else loop.ale.env
    line = [sys.executable, "-m", "ml_backend.cli", *map(str, arguments)]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_people_labelled_labels_other_documents(new_loop: NewLoop, tmp_path: Path) -> None:
    """Label, export, index where there is no server; the audit says how often that is right."""
    loop = new_loop(messages(240))
    loop.start()
    for task_id in [*loop.free[:40], *loop.reserve[:AUDITS]]:
        loop.annotate(task_id)
    loop.learn()
    before = loop.theirs
    told = json.loads(
        ale(loop, "export", loop.project_id, "--for-index", "--out", tmp_path / "model", "--json")
    )
    assert told["project_version"] == loop.version
    assert told["metrics"]["audited"] == AUDITS
    assert told["metrics"]["scanner_accuracy"] > 0.8
    assert loop.theirs == before

    others = messages(400)[240:]
    source = tmp_path / "documents.jsonl"
    source.write_text("".join(json.dumps({"text": message.text}) + "\n" for message in others))
    model = tmp_path / "model"
    told = json.loads(
        ale(
            loop,
            "index",
            source,
            tmp_path / "out.jsonl",
            "--model",
            model,
            "--defer",
            "0.1",
            "--json",
            alone=True,
        )
    )
    assert (told["rows"], told["deferred"], told["bad_rows"]) == (len(others), len(others) // 10, 0)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    right = [row["label"] == message.label for row, message in zip(rows, others, strict=True)]
    assert sum(right) > 0.8 * len(others)
    assert told["shares"]["labels"].keys() == set(LABELS)
