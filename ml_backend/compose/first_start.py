"""Passwords, tokens and keys of the compose stack, made once: `python -m ml_backend.compose.first_start`.

One folder per reader, each a volume of its own that only this reader mounts; one file per variable. A value in
the environment (from `.env`) wins over a random one. What a database was created with cannot be changed from
here: that is refused, not ignored, until SECRETS_ACCEPT names it as changed there.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ale.errors import AleError, ConfigurationError

ROOT = Path("/secrets")


@dataclass(frozen=True, slots=True)
class Secret:
    """A variable, who reads it, how it is made, and where it would have to be changed by hand later."""

    name: str
    readers: tuple[str, ...]
    make: Callable[[], str]
    kept_elsewhere: str = ""


def _token() -> str:
    return secrets.token_hex(20)  # Label Studio's tokens are 40 hexadecimal digits


def _password() -> str:
    return secrets.token_urlsafe(18)


# In this order they are written; postgres and label-studio wait for the last one that is theirs.
SECRETS = (
    Secret(
        "POSTGRES_PASSWORD", ("postgres",), _token, "Change it in Postgres: ALTER USER postgres PASSWORD '…'"
    ),
    Secret(
        "POSTGRE_PASSWORD",
        ("label-studio", "postgres"),
        _token,
        "Change it in Postgres: ALTER USER label_studio PASSWORD '…'",
    ),
    Secret(
        "ALE_POSTGRES_PASSWORD",
        ("postgres", "ale"),
        _token,
        "Change it in Postgres: ALTER USER ale PASSWORD '…'",
    ),
    Secret(
        "LABEL_STUDIO_PASSWORD",
        ("label-studio",),
        _password,
        "Change it in Label Studio, under Account & Settings",
    ),
    Secret(
        "LABEL_STUDIO_USER_TOKEN",
        ("label-studio",),
        _token,
        "Renew it in Label Studio, under Account & Settings, and set LABEL_STUDIO_API_KEY to it",
    ),
    Secret("BASIC_AUTH_PASS", ("ale",), _password),
    Secret("ALE_WEBHOOK_SECRET", ("ale",), lambda: secrets.token_hex(32)),
)


def provide(root: Path, given: Mapping[str, str]) -> list[str]:
    """Write what is missing or was changed in `given`; the names of what was written.

    Raises ConfigurationError for a changed value that is kept elsewhere by now; nothing is written then.
    """
    given = {name: value.strip() for name, value in given.items()}
    accepted = set(given.get("SECRETS_ACCEPT", "").replace(",", " ").split())
    known = {secret.name: _read(root / secret.readers[0] / secret.name) for secret in SECRETS}
    token = given.get("LABEL_STUDIO_USER_TOKEN", "")
    if token and not re.fullmatch("[0-9a-f]{40}", token):
        raise ConfigurationError(
            "LABEL_STUDIO_USER_TOKEN in .env must be 40 hexadecimal digits: openssl rand -hex 20"
        )
    for secret in SECRETS:
        wanted = given.get(secret.name, "")
        changed = wanted and known[secret.name] not in {"", wanted}
        if changed and secret.kept_elsewhere and secret.name not in accepted:
            raise ConfigurationError(
                f"{secret.name} in .env is not the one that this stack was created with. {secret.kept_elsewhere}; "
                f"then once: SECRETS_ACCEPT={secret.name} docker compose up -d"
            )
    written = []
    for secret in SECRETS:
        value = given.get(secret.name, "") or known[secret.name] or secret.make()
        if value != known[secret.name]:
            written.append(secret.name)
        for reader in secret.readers:
            _write(root / reader / secret.name, value)
        known[secret.name] = value
    ale = root / "ale"
    _write(
        ale / "LABEL_STUDIO_API_KEY",
        given.get("LABEL_STUDIO_API_KEY", "") or known["LABEL_STUDIO_USER_TOKEN"],
    )
    password = quote(known["ALE_POSTGRES_PASSWORD"], safe="")
    _write(ale / "DATABASE_URL", f"postgresql+psycopg://ale:{password}@postgres:5432/ale")
    return written


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _write(path: Path, value: str) -> None:
    if _read(path) == value:
        return
    # The readers are other users in other containers: who mounts the volume may read it, nobody else can.
    draft = path.with_name(f".{path.name}")
    draft.write_text(value)
    draft.chmod(0o444)
    draft.replace(path)


def main() -> int:
    """Provide all secrets under `/secrets` and say which; values are never shown."""
    try:
        written = provide(ROOT, os.environ)
    except (AleError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"secrets made: {', '.join(written) or 'none, all are there'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
