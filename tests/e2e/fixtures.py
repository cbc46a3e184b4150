"""A real Label Studio for the tests, started by the same code as the demo, and an ALE beside it.

tests/conftest.py hands these to the tests in e2e and in browser: one server for the whole session.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.demo.label_studio_server import Account, label_studio_child
from ml_backend.demo.label_studio_venv import ensure_label_studio
from ml_backend.label_studio import LabelStudioClient
from ml_backend.ports import free_port
from ml_backend.settings import load_settings
from ml_backend.supervisor import Supervisor
from tests.e2e.label_studio import LabelStudioUnderTest
from tests.e2e.loop import Ale, NewLoop, loops_of, running_ale

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def label_studio_program(pytestconfig: pytest.Config) -> Path:
    """The `label-studio` program; installed first when it is not there yet."""
    venv = Path(os.environ.get("ALE_LABEL_STUDIO_VENV", CHECKOUT / ".venv-label-studio"))
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - a minute of silence looks like a hang

    return ensure_label_studio(venv, say)


@pytest.fixture(scope="session")
def label_studio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioUnderTest]:
    """Label Studio 1.23.2 on a free loopback port, with a database of its own, for the whole session.

    Or the one that the file ALE_TEST_LABEL_STUDIO tells of: `.ci/docker` runs these tests against Postgres.
    """
    elsewhere = os.environ.get("ALE_TEST_LABEL_STUDIO")
    if elsewhere:
        yield running_elsewhere(Path(elsewhere), tmp_path_factory.mktemp("label-studio"))
        return
    program = request.getfixturevalue("label_studio_program")
    folder = tmp_path_factory.mktemp("label-studio")
    account = Account.kept_in(folder / "account.json")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Supervisor() as supervisor:
        supervisor.start(label_studio_child(program, folder / "data", folder / "log", port, account))
        settings = load_settings(
            label_studio_url=url, label_studio_api_key=account.token, home=folder / "ale"
        )
        client = LabelStudioClient(settings)
        yield LabelStudioUnderTest(url, account.email, account.password, account.token, client)


def running_elsewhere(file: Path, home: Path) -> LabelStudioUnderTest:
    """A server that somebody else started: url, email, password and token, as JSON."""
    account = json.loads(file.read_text())
    settings = load_settings(
        label_studio_url=account["url"], label_studio_api_key=account["token"], home=home / "ale"
    )
    return LabelStudioUnderTest(**account, client=LabelStudioClient(settings))


@pytest.fixture(scope="session")
def ale(label_studio: LabelStudioUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ale]:
    """Redis, web process (with a password) and worker, shared by the session's tests."""
    folder = tmp_path_factory.mktemp("ale")
    with running_ale(
        label_studio, folder, BASIC_AUTH_USER="label-studio", BASIC_AUTH_PASS="a-password-for-tests"
    ) as running:
        yield running


@pytest.fixture
def new_loop(ale: Ale, request: pytest.FixtureRequest) -> Iterator[NewLoop]:
    """Makes projects of the test's own; at its end ALE forgets about them."""
    with loops_of(ale, request.node.name) as new:
        yield new
