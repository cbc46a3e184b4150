"""DATABASE_URL: what everyone writes works, and nothing that is secret is shown."""

from __future__ import annotations

import sys

import pytest

from ale.errors import ConfigurationError, MissingExtra
from ml_backend.store.address import WAITS, read_address, shown
from ml_backend.store.database import Database


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_means_psycopg(scheme: str) -> None:
    """As hosters write it and as books do; the waits are ours."""
    address = read_address(f"{scheme}://user:p%40ss@host:5433/ale?sslmode=require")
    assert (address.drivername, address.username, address.password) == ("postgresql+psycopg", "user", "p@ss")
    assert (address.host, address.port, address.database) == ("host", 5433, "ale")
    assert dict(address.query) == {**WAITS, "sslmode": "require"}


def test_what_the_address_says_itself_stays() -> None:
    """Another driver, another wait, another database."""
    assert read_address("postgres://host/ale?connect_timeout=60").query["connect_timeout"] == "60"
    for url in ("postgresql+psycopg2://host/ale", "sqlite:////data/ale.db", "mysql+pymysql://host/ale"):
        assert read_address(url).render_as_string() == url


def test_a_shown_address_has_no_password() -> None:
    """Wherever it stood."""
    for url in ("postgres://user:hush@host/ale", "postgres://user@host/ale?password=hush&sslmode=require"):
        assert "hush" not in shown(read_address(url))
    assert shown(read_address("postgres://u:hush@host/ale")) == "postgresql+psycopg://u:***@host/ale"


@pytest.mark.parametrize("url", ["hush", "postgres://u:hush@host:port/ale", "://hush"])
def test_no_address_is_said_to_be_none(url: str) -> None:
    """With an example of each kind, and without the value."""
    with pytest.raises(ConfigurationError, match=r"no SQLAlchemy address.*sqlite:.*postgresql:") as raised:
        Database(url)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("url", ["postgres://u:hush@host/ale", "postgresql+psycopg://u:hush@host/ale"])
def test_without_the_package_the_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command can be pasted."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ale-label-studio\[postgres\]'") as raised:
        Database(url)
    assert "hush" not in str(raised.value)


def test_without_another_drivers_package_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names a driver is told its package."""
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigurationError, match="pip install psycopg2"):
        Database("postgresql+psycopg2://host/ale")
