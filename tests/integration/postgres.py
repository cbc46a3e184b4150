"""A Postgres of the test run's own, from the server's programs on this machine; skipped where there are none."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

# Nothing here has to outlive the test; a crash of the server (not of the machine) loses nothing all the same.
QUICK = "-c fsync=off -c full_page_writes=off"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server in a folder, reached by a socket in that folder: no port that somebody else could have taken."""

    programs: Path
    folder: Path
    owner: str | None
    """Who runs it; the server refuses root."""
    _numbers: Iterator[int]

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} {QUICK}"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def kill(self) -> None:
        """End it as a crash does: no connection is told, and the next start has to recover."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def url(self, name: str) -> str:
        """The address of one of its databases, as people write it."""
        return f"postgresql://ale@/{name}?host={self.folder}"

    def new_database(self) -> str:
        """The address of a new, empty database."""
        import psycopg

        name = f"ale_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes to a file: a pipe would stay open as long as the server that inherits it.
        with (self.folder / "commands").open("ab") as said:
            done = subprocess.run(
                [str(self.programs / program), "-D", str(self.folder / "data"), *arguments],
                stdout=said,
                stderr=said,
                cwd=self.folder,
                check=False,
                **self._identity(),
            )
        if done.returncode:
            raise RuntimeError(f"{program} {arguments}: {(self.folder / 'commands').read_text()}")

    def _identity(self) -> dict[str, Any]:
        return {"user": self.owner, "group": self.owner, "extra_groups": []} if self.owner else {}

    def initialise(self) -> None:
        """Make its files; whoever reaches the socket is let in."""
        if self.owner:
            shutil.chown(self.folder, self.owner, self.owner)
        self._run("initdb", "-U", "ale", "--auth=trust", "-E", "UTF8", "--no-sync")


def find_programs() -> Path | None:
    """The folder of the newest server's programs: on PATH, or where Debian puts them."""
    there = glob.glob("/usr/lib/postgresql/*/bin/initdb")  # noqa: PTH207 - an absolute pattern
    newest = max(there, key=lambda path: int(Path(path).parts[4].partition(".")[0]), default=None)
    found = shutil.which("initdb") or newest
    return None if found is None else Path(found).resolve().parent


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server that ends with the block; skips the test, with the reason, where none can be had."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no Postgres server on this machine: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="pip install 'ale-label-studio[postgres]'", exc_type=ImportError)
    # Not pytest's own folder: only root may look into that, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="ale-pg-"))
    server = Postgres(programs, folder, _unprivileged(), count(1))
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.kill()
        shutil.rmtree(folder)


def _unprivileged() -> str | None:
    """Whose server it is: ours, or that of a user without rights when we are root."""
    if os.getuid():
        return None
    import pwd

    known = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole run."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: the test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ale.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
