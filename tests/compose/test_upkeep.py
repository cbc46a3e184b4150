"""What docs/docker.md tells operators to do, done as it stands there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.compose.stack import ROOT, Stack

DOCS = ROOT / "docs" / "docker.md"


def block(name: str) -> str:
    """The commands below a mark in the docs."""
    found = re.search(rf"<!-- {name} -->\n```\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    assert found, name
    return found[1]


def run(commands: str, backup: Path) -> None:
    """As a person would paste them, but for the folder of the backup."""
    script = commands.replace("mkdir -p backup", f"mkdir -p {backup}").replace("$PWD/backup", str(backup))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_a_backup_brings_everything_back(stack: Stack, tmp_path: Path) -> None:
    """Label Studio's annotations, ALE's database, checkpoints and secrets; and the loop goes on from there."""
    count = "SELECT count(*) FROM task_completion"
    before = (stack.status()["projects"], stack.sql(count, "label_studio"))
    token = stack.secret("label-studio", "LABEL_STUDIO_USER_TOKEN")
    assert before[0], "there is nothing to lose yet"
    run(block("backup"), tmp_path)
    stack.sql("DELETE FROM task_completion", "label_studio")
    run(block("restore"), tmp_path)
    after = stack.status()["projects"]
    kept = ("project", "key", "version", "annotations", "tasks", "review")
    assert [[p[k] for k in kept] for p in after] == [[p[k] for k in kept] for p in before[0]]
    assert stack.sql(count, "label_studio") == before[1]
    assert Stack(stack.home).secret("label-studio", "LABEL_STUDIO_USER_TOKEN") == token
    assert stack.doctor()
