"""Backup and restore as docs/docker.md tells operators to do them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.compose.stack import ROOT, Stack

SCRIPTS = ROOT / "ml_backend" / "compose"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script, with this folder of archives."""
    return subprocess.run(
        [SCRIPTS / script, folder], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_a_backup_brings_everything_back(stack: Stack, tmp_path: Path) -> None:
    """Label Studio's annotations, ALE's database, checkpoints and secrets; and the loop goes on from there."""
    folder = tmp_path / "backup"
    count = "SELECT count(*) FROM task_completion"
    before, annotations = stack.status()["projects"], stack.sql(count, "label_studio")
    token = stack.secret("label-studio", "LABEL_STUDIO_USER_TOKEN")
    assert before, "there is nothing to lose yet"
    saved = run("backup.sh", folder)
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}, "the archives hold passwords"

    stack.sql("DELETE FROM task_completion", "label_studio")
    whole = (folder / "ale.tar").read_bytes()
    (folder / "ale.tar").write_bytes(whole[: len(whole) // 2])
    refused = run("restore.sh", folder)
    assert refused.returncode == 1
    assert "ale.tar is missing or not what backup.sh wrote: nothing was changed" in refused.stderr
    assert stack.status()["projects"], "it is still up"

    (folder / "ale.tar").write_bytes(whole)
    restored = run("restore.sh", folder)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    kept = ("project", "key", "version", "annotations", "tasks", "review")
    after = stack.status()["projects"]
    assert [[p[k] for k in kept] for p in after] == [[p[k] for k in kept] for p in before]
    assert stack.sql(count, "label_studio") == annotations
    assert Stack(stack.home).secret("label-studio", "LABEL_STUDIO_USER_TOKEN") == token
    stack.all_well()


def test_a_first_start_that_was_cut_off_is_mended(stack: Stack) -> None:
    """A database that is not there makes Postgres unhealthy; its script makes what is missing, and no more."""
    script = ("exec", "-T", "postgres", "sh", "/docker-entrypoint-initdb.d/ale.sh")
    before = stack.status()["projects"]
    stack.compose(*script)
    assert stack.status()["projects"] == before
    # What Label Studio and ALE hold is not touched: both databases go by another name for a moment.
    stack.compose("stop", "backend", "worker")
    stack.sql("ALTER DATABASE ale RENAME TO ale_aside", "postgres")
    try:
        probe = "SELECT count(*) FROM pg_database WHERE datname = 'ale'"
        assert stack.sql(probe, "postgres") == [["0"]]
        stack.compose(*script)
        assert stack.sql(probe, "postgres") == [["1"]]
    finally:
        stack.sql("DROP DATABASE IF EXISTS ale", "postgres")
        stack.sql("ALTER DATABASE ale_aside RENAME TO ale", "postgres")
    stack.up("backend", "worker")
    stack.all_well()
