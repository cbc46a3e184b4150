"""The command line: quick to start, readable when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ale.errors import AleError, ConfigurationError
from ml_backend.cli import app


def ale(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `ale` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", *args],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    """`ale --help` must not wait for torch, scikit-learn, SQLAlchemy, Flask or Label Studio's SDK."""
    code = (
        "import sys, ml_backend.cli\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'cleanlab', 'sqlalchemy', 'flask', 'redis', 'rq', 'label_studio_sdk'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_help_is_quick_and_names_the_commands() -> None:
    """The best of three starts stays well below a second."""
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        done = ale("--help")
        seconds.append(time.monotonic() - start)
    assert done.returncode == 0
    assert {"demo", "serve", "worker", "connect", "doctor", "status"} <= set(done.stdout.split())
    assert min(seconds) < 0.9


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("set REDIS_URL"), 2), (AleError("no luck"), 1)],
    ids=str,
)
def test_an_expected_error_is_one_line_without_a_traceback(
    error: AleError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 is for settings, 1 for the rest."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("ml_backend.processes.serve", fail)
    done = CliRunner().invoke(app, ["serve"])
    assert (done.exit_code, done.stderr) == (code, f"ale: {error}\n")


def test_a_wrong_setting_names_variable_and_value(tmp_path: Path) -> None:
    """No traceback, and nothing is started."""
    done = ale("serve", ALE_HOME=str(tmp_path), ALE_PORT="99999")
    assert done.returncode == 2
    assert "ALE_PORT='99999'" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_to_others_without_a_password_is_refused(tmp_path: Path) -> None:
    """The message names the variables that would allow it."""
    done = ale("serve", ALE_HOME=str(tmp_path), ALE_HOST="192.0.2.1", REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 2
    assert "set BASIC_AUTH_USER and BASIC_AUTH_PASS" in done.stderr
