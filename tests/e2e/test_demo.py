"""`ale demo --auto --exit` as a user runs it: from nothing to a closed loop, and nothing left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_backend.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _demo(home: Path, program: Path, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml_backend.cli", "demo", "--home", str(home)]
    command += ["--label-studio-venv", str(program.parent.parent), *options]
    # A home folder of its own: nothing from the user's may be needed.
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    env |= {"HOME": str(home), **extra}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=500, check=False)


def _left_running(home: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(home) in line:
            found.append(line)
    return found


def test_the_loop_closes_and_the_second_start_goes_on(tmp_path: Path, label_studio_program: Path) -> None:
    """All conditions of the report hold; the same project, password and order are there at the next start."""
    home, report = tmp_path / "demo", tmp_path / "report.json"
    port, ale_port = free_port(18_080), free_port(19_090)
    ports = ("--port", str(port), "--ale-port", str(ale_port))
    first = _demo(home, label_studio_program, *ports, "--auto", "60", "--exit", "--json", str(report))
    assert first.returncode == 0, first.stdout + first.stderr
    found = json.loads(report.read_text())
    assert found["loop_closed"]
    assert found["labels"] == 60
    assert not _left_running(home)

    kept = (home / "demo.json").read_text()
    second = _demo(home, label_studio_program, "--exit")
    assert second.returncode == 0, second.stdout + second.stderr
    assert (home / "demo.json").read_text() == kept
    assert "sample project is created" not in second.stdout
    assert not _left_running(home)


def test_the_loop_closes_with_a_teacher_behind_an_endpoint(
    tmp_path: Path, label_studio_program: Path
) -> None:
    """`--teacher openai` goes through the stand-in, says so, and leaves the key of the shell alone."""
    home, report = tmp_path / "demo", tmp_path / "report.json"
    ports = ("--port", str(free_port(18_180)), "--ale-port", str(free_port(19_190)))
    options = (*ports, "--teacher", "openai", "--auto", "60", "--exit", "--json", str(report))
    done = _demo(home, label_studio_program, *options, OPENAI_API_KEY="sk-of-the-shell")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text())["loop_closed"]
    assert "stand-in, not GPT" in done.stdout
    assert "--real asks the real model" in done.stdout
    files = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in files if b"sk-of-the-shell" in path.read_bytes()]
    assert not _left_running(home)
