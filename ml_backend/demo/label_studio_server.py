"""How to run Label Studio so that it is quiet, on loopback only, and lets a backend on loopback talk to it."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path

import httpx

from ml_backend.private_files import write_private
from ml_backend.supervisor import Child

HOST = "127.0.0.1"
FIRST_START_S = 240.0  # all migrations; 25 s on a quiet machine

_PASSED_ON = (
    *("PATH", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """The one user of a Label Studio of ours."""

    email: str
    password: str
    token: str

    @classmethod
    def kept_in(cls, file: Path) -> Account:
        """The account in that file; a new one with a random password is written there when there is none."""
        if file.exists():
            return cls(**loads(file.read_text()))
        account = cls("demo@example.com", secrets.token_urlsafe(9), secrets.token_hex(20))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, dumps(asdict(account)))
        return account


def label_studio_env(data: Path, port: int, account: Account) -> dict[str, str]:
    """The whole environment of the server: any variable named LABEL_STUDIO_... would be a setting of its own."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {
        "HOME": str(data),  # it would write its settings into the user's
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": f"http://{HOST}:{port}",
        "DJANGO_DB": "sqlite",
        # In the environment, not in the arguments, where every user of the machine could read them.
        "LABEL_STUDIO_USERNAME": account.email,
        "LABEL_STUDIO_PASSWORD": account.password,
        "LABEL_STUDIO_USER_TOKEN": account.token,
        # Only read when the database is new: later on nobody could switch it on without a browser.
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # Nothing is asked or told outside.
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "FEATURE_FLAGS_OFFLINE": "true",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        # The default refuses backends on private addresses. Open what is needed, keep cloud metadata closed.
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": "169.254.0.0/16,fe80::/10",
        # Without it an import of predictions recounts every task of the project: 300 times slower at 50,000.
        "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short": "true",
        "PYTHONUNBUFFERED": "1",
    }


def label_studio_child(program: Path, data: Path, log: Path, port: int, account: Account) -> Child:
    """The server as a child for the supervisor. The port must be free: Label Studio would move on silently."""
    data.mkdir(parents=True, exist_ok=True)
    argv = [str(program), "start", "--no-browser", "--data-dir", str(data)]
    argv += ["--internal-host", HOST, "--port", str(port), "--enable-legacy-api-token"]
    url = f"http://{HOST}:{port}"
    return Child(
        "Label Studio",
        argv,
        log,
        env=label_studio_env(data, port, account),
        ready=lambda: healthy(f"{url}/health"),
        ready_within_s=FIRST_START_S,
    )


def healthy(url: str) -> bool:
    """Whether GET answers 200 within two seconds."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
