"""Runs one program and makes sure that nothing of it outlives whoever asked for it.

Started by the supervisor as `python -I -S guard.py GRACE PROGRAM ARGS...`, with a pipe as standard input that
the supervisor never writes to. The pipe's end means that the supervisor is gone, however it went, SIGKILL
included. Then, and on SIGTERM, the program gets SIGTERM, after GRACE seconds SIGKILL; what it left behind
is killed as well. Imports nothing but the standard library: it has to start quickly and stay small.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

_PR_SET_CHILD_SUBREAPER = 36


def main(grace_s: float, argv: list[str]) -> int:
    """Run `argv` to its end; its exit status, as a shell gives it."""
    if sys.platform == "linux":
        # What the program's own children leave behind becomes a child of this process, not of init.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
        return 127

    def ask_to_end(_signal: int, _frame: FrameType | None) -> None:
        program.terminate()
        signal.setitimer(signal.ITIMER_REAL, max(grace_s, 0.01))

    def force_to_end(_signal: int, _frame: FrameType | None) -> None:
        program.kill()

    signal.signal(signal.SIGTERM, ask_to_end)
    signal.signal(signal.SIGALRM, force_to_end)
    threading.Thread(target=_watch_parent, daemon=True).start()
    status = program.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _kill_what_is_left()
    return status if status >= 0 else 128 - status


def _watch_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _kill_what_is_left() -> None:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    while listing.exists() and (children := listing.read_text().split()):
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    # os._exit: a thread is still reading standard input, and there is nothing to clean up.
    os._exit(main(float(sys.argv[1]), sys.argv[2:]))
