"""Who may call what."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.datastructures import Authorization

from ml_backend.auth import basic_ok, header_opens, is_loopback
from ml_backend.identity import ProjectKey
from tests.conftest import make_settings


def basic(user: str, password: str) -> Authorization:
    """Credentials as they arrive."""
    return Authorization("basic", {"username": user, "password": password})


@pytest.mark.parametrize(
    ("user", "password", "good"),
    [
        ("ann", "pä$$ 😀", True),
        ("ann", "pa$$", False),
        ("Ann", "pä$$ 😀", False),
        ("", "", False),
        ("\ud800", "x", False),
    ],
)
def test_basic(tmp_path: Path, user: str, password: str, good: bool) -> None:
    """Both halves must be right; letters beyond ASCII work."""
    settings = make_settings(tmp_path, "redis://x", basic_auth_user="ann", basic_auth_pass="pä$$ 😀")
    assert basic_ok(basic(user, password), settings) is good


def test_no_password_opens_nothing(tmp_path: Path) -> None:
    """Empty credentials are not the password of somebody who set none."""
    settings = make_settings(tmp_path, "redis://x")
    assert not basic_ok(basic("", ""), settings)
    assert not basic_ok(None, settings)
    half = make_settings(tmp_path, "redis://x", basic_auth_user="ann")
    assert not basic_ok(basic("ann", ""), half)
    assert not basic_ok(Authorization("bearer", token="x"), half)


def test_a_header_opens_one_project(tmp_path: Path) -> None:
    """The value given out for a project marks that one only, on that server, of that time."""
    settings = make_settings(tmp_path, "redis://x")
    mine = ProjectKey("http://a", 1, 100)
    others = [ProjectKey("http://a", 2, 100), ProjectKey("http://b", 1, 100), ProjectKey("http://a", 1, 101)]
    header = mine.webhook_secret(settings.webhook_secret)
    assert header_opens(header, [*others, mine], settings) == mine
    assert header_opens(header, others, settings) is None
    assert header_opens("", [mine], settings) is None
    assert header_opens("é😀", [mine], settings) is None


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        (None, False),
        ("x", False),
    ],
)
def test_loopback(address: str | None, loopback: bool) -> None:
    """Only this machine."""
    assert is_loopback(address) is loopback
