"""What a served model is told at its start."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from werkzeug.datastructures import Authorization

from ale.cascade import Cascade
from ale.errors import ConfigurationError
from ale.model import NO_CASCADE

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: whoever knows the password or the token; everybody where neither is set."""

    user: str = ""
    password: str = ""
    token: str = ""

    def __bool__(self) -> bool:
        return bool(self.token or (self.user and self.password))

    def allows(self, given: Authorization | None) -> bool:
        """All parts are compared whatever the others say, so that the time taken tells nothing."""
        if not self:
            return True
        if given is None:
            return False
        if given.type == "bearer":
            return bool(self.token) & _same(given.token or "", self.token)
        user, password = _same(given.username or "", self.user), _same(given.password or "", self.password)
        return (given.type == "basic") & bool(self.user and self.password) & user & password

    def host(self, wished: str) -> str:
        """The address to listen on; ConfigurationError rather than an open port without a password."""
        if self or wished in LOOPBACK:
            return wished or "0.0.0.0"  # noqa: S104 - asked for by setting a password
        if not wished:
            return LOOPBACK[0]
        raise ConfigurationError(
            f"--host {wished} would open an unprotected port: set ALE_SERVE_TOKEN, or BASIC_AUTH_USER and BASIC_AUTH_PASS"
        )


@dataclass(frozen=True, slots=True)
class Options:
    """Limits, who may ask, and which texts go to the encoder student."""

    access: Access = Access()
    max_batch: int = 1_000
    max_body: int = 8 * 1024 * 1024
    cascade: Cascade = NO_CASCADE


def _same(given: str, expected: str) -> bool:
    # As bytes: compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
