"""The supervisor with real processes: order, readiness, restarts, giving up, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.supervisor import Child, ChildFailed, Supervisor
from tests.conftest import wait_until

SLEEPER = (
    "import pathlib, os, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def sleeper(folder: Path, name: str, *, code: str = SLEEPER, within_s: float = 20.0) -> Child:
    """A child that writes its pid and sleeps."""
    file = folder / f"{name}.pid"
    return Child(
        name,
        [sys.executable, "-c", code, str(file)],
        folder / f"{name}.log",
        ready=lambda: bool(file.exists() and file.read_text()),
        ready_within_s=within_s,
    )


def pid_of(folder: Path, name: str) -> int:
    """The pid that a sleeper wrote."""
    return int((folder / f"{name}.pid").read_text())


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A running supervisor; what it started ends with the test."""
    with Supervisor(grace_s=3) as running:
        yield running


def test_start_returns_when_the_child_is_ready(tmp_path: Path, supervisor: Supervisor) -> None:
    """After `start`, the child has done what `ready` looks for."""
    supervisor.start(sleeper(tmp_path, "one"))
    assert alive(pid_of(tmp_path, "one"))


def test_stop_ends_all_in_reverse_order(tmp_path: Path) -> None:
    """The child started last gets its signal, and ends, first."""
    order = tmp_path / "order"
    code = (
        "import pathlib, os, signal, sys, time\n"
        "def end(*_):\n"
        f"    with open({str(order)!r}, 'a') as f: f.write(pathlib.Path(sys.argv[1]).stem + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    with Supervisor(grace_s=10) as supervisor:
        for name in ("one", "two", "three"):
            supervisor.start(sleeper(tmp_path, name, code=code))
    assert order.read_text().split() == ["three", "two", "one"]


def test_a_child_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path, supervisor: Supervisor) -> None:
    """The message names the child and shows why it ended."""
    code = "raise SystemExit('the port is taken')"
    with pytest.raises(ChildFailed, match=r"(?s)broken ended before it was ready.*the port is taken"):
        supervisor.start(sleeper(tmp_path, "broken", code=code))


def test_a_program_that_does_not_exist_is_an_error_with_its_name(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    """No traceback: which program, and why not."""
    child = Child("none", ["/no/such/program"], tmp_path / "none.log", ready=lambda: False)
    with pytest.raises(ChildFailed, match=r"cannot start /no/such/program: No such file"):
        supervisor.start(child)


def test_a_child_that_never_gets_ready_is_an_error(tmp_path: Path, supervisor: Supervisor) -> None:
    """The deadline holds even when the child lives on."""
    code = "import time; print('waiting for the moon', flush=True); time.sleep(600)"
    with pytest.raises(ChildFailed, match=r"(?s)was not ready after 1 s.*waiting for the moon"):
        supervisor.start(sleeper(tmp_path, "slow", code=code, within_s=1))


def test_a_child_that_dies_is_started_again(tmp_path: Path, supervisor: Supervisor) -> None:
    """kill -9 of the program brings a new one."""
    supervisor.start(sleeper(tmp_path, "one"))
    first = pid_of(tmp_path, "one")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid_of(tmp_path, "one") != first, within_s=20)
    supervisor.check()


def test_a_child_whose_guard_is_killed_is_started_again(tmp_path: Path, supervisor: Supervisor) -> None:
    """The guard itself is no single point of failure."""
    supervisor.start(sleeper(tmp_path, "one"))
    first = pid_of(tmp_path, "one")
    os.kill(supervisor.pid("one"), signal.SIGKILL)
    wait_until(lambda: pid_of(tmp_path, "one") != first, within_s=20)
    wait_until(lambda: not alive(first), within_s=20)


def test_a_child_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    """After too many deaths, `wait` raises with the log's end instead of restarting for ever."""
    code = "import sys; print('no database', flush=True); sys.exit(3)"
    child = Child("flaky", [sys.executable, "-c", code], tmp_path / "flaky.log")
    with Supervisor(deaths_per_minute=2) as supervisor:
        supervisor.start(child)
        with pytest.raises(ChildFailed, match=r"(?s)flaky died 3 times within a minute.*no database"):
            supervisor.wait()


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """Stopping ends, whatever a child does."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    with Supervisor(grace_s=0.5) as supervisor:
        supervisor.start(sleeper(tmp_path, "deaf", code=code))
        pid = pid_of(tmp_path, "deaf")
    assert not alive(pid)


def test_what_a_child_left_behind_is_killed(tmp_path: Path) -> None:
    """A grandchild in a session of its own ends with its child."""
    inner = repr([sys.executable, "-c", SLEEPER, str(tmp_path / "inner.pid")])
    code = f"import subprocess, time; subprocess.Popen({inner}, start_new_session=True); time.sleep(600)"
    child = Child(
        "outer",
        [sys.executable, "-c", code],
        tmp_path / "outer.log",
        ready=lambda: (tmp_path / "inner.pid").exists() and bool((tmp_path / "inner.pid").read_text()),
    )
    with Supervisor(grace_s=3) as supervisor:
        supervisor.start(child)
        inner_pid = pid_of(tmp_path, "inner")
        assert alive(inner_pid)
    assert not alive(inner_pid)


PARENT = """
import sys
from pathlib import Path
from ml_backend.supervisor import Child, Supervisor
folder = Path(sys.argv[1])
file = folder / "child.pid"
with Supervisor(grace_s=3) as supervisor:
    supervisor.start(Child("child", [sys.executable, "-c", sys.argv[2], str(file)], folder / "log",
                           ready=lambda: file.exists() and bool(file.read_text())))
    (folder / "up").touch()
    supervisor.wait()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_orphan_however_the_parent_ends(tmp_path: Path, how: signal.Signals) -> None:
    """Even SIGKILL of the supervising process takes its children along."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), SLEEPER], stderr=subprocess.DEVNULL
    ) as parent:
        wait_until((tmp_path / "up").exists, within_s=20)
        pid = pid_of(tmp_path, "child")
        assert alive(pid)
        parent.send_signal(how)
        parent.wait(20)
    wait_until(lambda: not alive(pid), within_s=20)
