"""What the fixture `label_studio` gives."""

from __future__ import annotations

from dataclasses import dataclass

from ml_backend.label_studio import LabelStudioClient


@dataclass(frozen=True, slots=True)
class LabelStudioUnderTest:
    """A running server, shared by the session's tests, and a client for its one user."""

    url: str
    email: str
    password: str
    token: str
    client: LabelStudioClient
