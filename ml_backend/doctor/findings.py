"""What the doctor says about one hop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One hop: whether it works, what was seen, and the line to change when it does not."""

    hop: str
    ok: bool
    seen: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def works(hop: str, seen: str) -> Finding:
    """A hop that works."""
    return Finding(hop, ok=True, seen=seen)


def broken(hop: str, seen: str, fix: str) -> Finding:
    """A hop that fails, with the one line to change."""
    return Finding(hop, ok=False, seen=seen, fix=fix)
