"""What DATABASE_URL means: which driver, which waits, and how it may be shown."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ale.errors import ConfigurationError

POSTGRES = "postgresql+psycopg"
"""psycopg 3, whatever SQLAlchemy takes for granted. `postgres` is what hosters write, `postgresql` the books."""

WAITS = {
    "connect_timeout": "5",
    # Without these, a connection whose server vanished without a word is waited for by the quarter of an hour.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
}


def read_address(url: str) -> URL:
    """The address with its driver and, for Postgres, with waits that it does not name itself.

    Raises ConfigurationError for what is no address; its value is not shown, as it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ConfigurationError(
            "DATABASE_URL is no SQLAlchemy address: "
            "e.g. sqlite:////data/ale.db or postgresql://user:password@host:5432/ale"
        ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername=POSTGRES)
    if parsed.drivername == POSTGRES:
        parsed = parsed.update_query_dict(
            {name: wait for name, wait in WAITS.items() if name not in parsed.query}
        )
    return parsed


def shown(url: URL) -> str:
    """The address without password and waits, for messages."""
    return url.difference_update_query(["password", *WAITS]).render_as_string(hide_password=True)
