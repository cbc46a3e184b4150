"""What the processes of a benchmark are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.stack import environment
from ml_backend.settings import load_settings


def test_children_read_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are not set stay so, whatever the environment says, and the others arrive."""
    monkeypatch.setenv("ALE_SECRETS_DIR", str(tmp_path))
    settings = load_settings(home=tmp_path, secrets_dir=None, basic_auth_user="u", basic_auth_pass="p")
    env = environment(settings)
    assert "ALE_SECRETS_DIR" not in env
    for name in list(env):
        monkeypatch.setenv(name, env[name])
    monkeypatch.delenv("ALE_SECRETS_DIR")
    assert load_settings() == settings
