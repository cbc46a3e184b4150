"""Who a project is, and which header value is its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml_backend.identity import ProjectKey, created_seconds, normalise_url

URL = "http://ls.example:8080"


@pytest.mark.parametrize(
    "url",
    [
        "http://ls.example:8080",
        "HTTP://LS.example:8080/",
        " http://ls.example:8080// ",
        "http://ls.example:8080?x#y",
    ],
)
def test_spellings_of_one_address_are_one_server(url: str) -> None:
    """Case, trailing slashes, query and blanks do not make another project."""
    assert normalise_url(url) == URL


def test_server_id_and_birthday_make_the_key() -> None:
    """Each of the three makes another project, with another secret."""
    keys = [
        ProjectKey.from_project(URL, 1, "2026-01-01T00:00:00.7Z"),
        ProjectKey.from_project(URL, 2, "2026-01-01T00:00:00.7Z"),
        ProjectKey.from_project(URL, 1, "2026-01-01T00:00:01.7Z"),
        ProjectKey.from_project("http://other.example", 1, "2026-01-01T00:00:00.7Z"),
    ]
    assert len({str(key) for key in keys}) == 4
    assert len({key.webhook_secret("s") for key in keys}) == 4
    assert keys[0].webhook_secret("s") != keys[0].webhook_secret("t")
    assert keys[0].webhook_secret("s") != "s"


def test_setup_and_api_name_the_same_project() -> None:
    """/setup says whole seconds, the API says microseconds and zones."""
    expected = ProjectKey.from_uid(URL, "12.1767225600")
    assert expected == ProjectKey.from_project(URL, 12, "2026-01-01T00:00:00.999999Z")
    assert expected == ProjectKey.from_project(URL, 12, "2026-01-01T01:00:00+01:00")
    assert expected == ProjectKey.from_project(URL, 12, datetime(2026, 1, 1, tzinfo=UTC))
    assert created_seconds("2026-01-01T00:00:00") == 1767225600


@pytest.mark.parametrize(
    "uid",
    ["", "7", "7.", ".7", "a.b", "-1.5", "7.1.2", "٧.٧", "7.1e5", "9" * 19 + ".1", "1." + "9" * 19, " 7.8"],
)
def test_what_is_no_project_is_none(uid: str) -> None:
    """Nothing else is let in, however it is written."""
    assert ProjectKey.from_uid(URL, uid) is None
