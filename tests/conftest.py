"""What many tests share: a real Redis on a free port, and a web process's services in a temporary home."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from ml_backend.ports import free_port
from ml_backend.redis_server import answers, find_redis_server
from ml_backend.settings import Settings, load_settings
from ml_backend.wiring import Services, build_services
from tests.e2e.fixtures import ale, label_studio, label_studio_program, new_loop
from tests.integration.postgres import database_url, postgres

# These need a running compose stack: `.ci/docker` starts one and names it. Elsewhere they are not part of the suite.
collect_ignore = [] if os.environ.get("ALE_TEST_COMPOSE") else ["compose"]

# How long an example takes says how busy the machine is, not whether the property holds.
hypothesis.settings.register_profile(
    "ale", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ale")

__all__ = ["ale", "database_url", "label_studio", "label_studio_program", "new_loop", "postgres"]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of the test run's own."""
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    process = subprocess.Popen(
        [find_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    wait_until(lambda: answers(url))
    yield url
    process.terminate()
    process.wait()


@pytest.fixture
def clean_redis(redis_url: str) -> Iterator[str]:
    """The same Redis, empty."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    yield redis_url
    client.close()


@pytest.fixture
def settings(tmp_path: Path, clean_redis: str) -> Settings:
    """Settings in a temporary home, with SQLite, without a password."""
    return make_settings(tmp_path, clean_redis)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """Database and marks of those settings."""
    built = build_services(settings, redis_timeout_s=0.3)
    yield built
    built.db.dispose()


def make_settings(home: Path, redis_url: str, **overrides: object) -> Settings:
    """Settings that nothing in the environment can change."""
    values: dict[str, object] = {
        "home": home,
        "redis_url": redis_url,
        "label_studio_url": "http://label-studio.test:8080",
        "label_studio_api_key": "",
        "database_url": "",
        "model_dir": "",
        "store_url": "",
        "basic_auth_user": "",
        "basic_auth_pass": "",
        "webhook_secret_given": "a-secret-for-tests",
        "teacher": "zero-shot",
        "encoder": "embedded",
        "openai_api_key": "",
        "openai_base_url": "",
        "azure_endpoint": "",
        "azure_api_key": "",
        "mlflow_tracking_uri": "",
        **overrides,
    }
    return load_settings(**values)


def wait_until(happened: Callable[[], bool], within_s: float = 10.0) -> None:
    """Return as soon as something is so; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {within_s} s")
        time.sleep(0.01)
