"""One process of this machine at a time, for work that a person starts at a terminal and may leave half done."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ale.errors import ConfigurationError


@contextmanager
def only_one(home: Path, what: str) -> Iterator[None]:
    """Holds `what` until the block ends; raises ConfigurationError while another process does."""
    with if_free(home, what) as mine:
        if not mine:
            raise ConfigurationError(f"another process is doing this just now ({what}): wait for it")
        yield


@contextmanager
def if_free(home: Path, what: str) -> Iterator[bool]:
    """Yields whether this process holds `what` until the block ends; another one may.

    The system lets go of it when the process ends, however it ends: who is killed holds nobody up.
    """
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / re.sub(r"\W", "-", what)).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
