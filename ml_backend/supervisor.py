"""Keeps a handful of child processes alive: start in order, restart what dies, stop in reverse order.

Each child runs under `guard.py`, in a session of its own, so Ctrl+C reaches it only through us, and nothing
of it stays when this process ends, even by SIGKILL. What a child prints goes to its log file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from ale.errors import AleError

_GUARD = Path(__file__).with_name("guard.py")
_TICK_S = 0.1


class ChildFailed(AleError):
    """A child process did not get ready, or died too often; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """What to run. `env` replaces the environment; None inherits ours. `ready` says when it can be used.

    Without a `log` the child writes to where we write.
    """

    name: str
    argv: Sequence[str]
    log: Path | None = None
    env: Mapping[str, str] | None = None
    ready: Callable[[], bool] = lambda: True
    ready_within_s: float = 60.0


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    deaths: list[float] = field(default_factory=list)
    restart_at: float | None = None


class Supervisor:
    """Owns child processes; use as a context manager. In the main thread, SIGTERM and SIGHUP end the block.

    A child that dies is started again after 0.2 s, 0.4 s, 0.8 s ...; one that died more than
    `deaths_per_minute` times within a minute is given up, and `failure` says so.
    """

    def __init__(self, *, grace_s: float = 10.0, deaths_per_minute: int = 5) -> None:
        self.failure: ChildFailed | None = None
        self._grace = grace_s
        self._limit = deaths_per_minute
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._handlers: dict[
            int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _end)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        main = threading.current_thread() is threading.main_thread()
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if main:
            signal.signal(signal.SIGINT, interrupt)

    def start(self, child: Child) -> None:
        """Start a child and wait until it is ready; raises ChildFailed with the end of its log."""
        with self._lock:
            if child.name in self._running:
                raise ValueError(f"a child named {child.name!r} is running already")
            running = self._running[child.name] = _Running(child, self._spawn(child))
        deadline = time.monotonic() + child.ready_within_s
        while not child.ready():
            if running.deaths or running.process.poll() is not None:
                raise self._failed(child, "ended before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(child, f"was not ready after {child.ready_within_s:.0f} s")
            self._stopping.wait(_TICK_S)

    def pid(self, name: str) -> int:
        """Process id of the child's guard, which leads the child's session; changes with each restart."""
        return self._running[name].process.pid

    def check(self) -> None:
        """Raise `failure` when a child was given up."""
        if self.failure:
            raise self.failure

    def wait(self) -> None:
        """Block until a signal ends the block, or raise ChildFailed when a child was given up."""
        while not self._stopping.wait(_TICK_S):
            self.check()

    def stop(self) -> None:
        """Stop all children, the last one first: SIGTERM, then after the grace SIGKILL. Never raises."""
        self._stopping.set()
        with self._lock:
            for running in reversed(self._running.values()):
                self._end(running.process)
            self._running.clear()
        # The watcher ends last: the kernel may tie children to the thread that started them.
        if self._watcher.is_alive():
            self._watcher.join()

    def _spawn(self, child: Child) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", str(_GUARD), str(self._grace), *child.argv]
        env = None if child.env is None else dict(child.env)
        if child.log is None:
            return subprocess.Popen(command, stdin=subprocess.PIPE, env=env, start_new_session=True)
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env, start_new_session=True
            )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(self._grace + 5)
        except subprocess.TimeoutExpired:
            self._kill_group(process)
            process.wait()

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_S):
            with self._lock:
                for running in self._running.values():
                    self._look_after(running)

    def _look_after(self, running: _Running) -> None:
        now = time.monotonic()
        if self._stopping.is_set() or self.failure:
            return
        if running.restart_at is None and running.process.poll() is not None:
            self._kill_group(running.process)  # a guard that was killed could not clean up
            running.deaths = [t for t in running.deaths if now - t < 60] + [now]
            if len(running.deaths) > self._limit:
                self.failure = self._failed(
                    running.child, f"died {len(running.deaths)} times within a minute"
                )
                return
            running.restart_at = now + 0.1 * 2 ** len(running.deaths)
        elif running.restart_at is not None and now >= running.restart_at:
            if running.process.stdin:
                running.process.stdin.close()
            running.process, running.restart_at = self._spawn(running.child), None

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    @staticmethod
    def _failed(child: Child, what: str) -> ChildFailed:
        if child.log is None:
            return ChildFailed(f"{child.name} {what}")
        return ChildFailed(f"{child.name} {what}; the end of {child.log}:\n{tail(child.log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, indented; of a big file, only its end is read."""
    if not log.exists():
        return "  (nothing was written)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing was written)"


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
