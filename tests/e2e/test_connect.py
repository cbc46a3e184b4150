"""Connecting and taking back: from the command line, and from Label Studio's own settings page."""

from __future__ import annotations

import pytest

from ml_backend.auth import WEBHOOK_HEADER
from ml_backend.connect import BACKEND_TITLE, EVENTS
from ml_backend.identity import ProjectKey
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.store import projects
from ml_backend.tabs import DEFAULT_TITLE, REVIEW_TITLE, UNSURE_TITLE, ensure_tabs
from tests.e2e.loop import PATIENCE_S, Loop, NewLoop, wait_until
from tests.e2e.messages import messages

pytestmark = pytest.mark.e2e


def secret_of(loop: Loop) -> str:
    """The header value that only this project's webhook may carry."""
    key = ProjectKey(loop.row.server, loop.row.project_id, loop.row.created_at)
    return key.webhook_secret(loop.ale.settings.webhook_secret)


def assert_one_of_each(loop: Loop) -> None:
    """One webhook with its secret and without payload, one backend, two tabs, uncertainty sampling."""
    hooks = loop.ale.client.webhooks(loop.project_id)
    assert [hook["headers"] for hook in hooks] == [{WEBHOOK_HEADER: secret_of(loop)}]
    assert hooks[0]["url"] == f"{loop.ale.settings.url}/webhook"
    assert hooks[0]["send_payload"] is False
    assert sorted(hooks[0]["actions"]) == sorted(EVENTS)
    assert len(loop.ale.client.backends(loop.project_id)) == 1
    titles = [view["data"]["title"] for view in loop.ale.client.views(loop.project_id)]
    assert titles.count(REVIEW_TITLE) == titles.count(UNSURE_TITLE) == 1
    assert loop.theirs["sampling"] == "Uncertainty sampling"


def test_connecting_twice_leaves_one_of_each(new_loop: NewLoop) -> None:
    """A second connect adds nothing, keeps the version in force, and mends what somebody broke."""
    loop = new_loop(messages(12))
    loop.start()
    assert_one_of_each(loop)
    version = loop.version

    loop.connect()
    loop.learn()
    assert_one_of_each(loop)
    assert loop.theirs["model_version"] == loop.version == version

    hook = loop.ale.client.webhooks(loop.project_id)[0]
    loop.ask("PATCH", f"webhooks/{hook['id']}/", json={"headers": {}, "is_active": False, "actions": []})
    secretless = {"project": loop.project_id, "url": hook["url"], "send_for_all_actions": True}
    loop.ask("POST", "webhooks/", json=secretless)
    loop.ask("PATCH", f"projects/{loop.project_id}/", json={"sampling": "Sequential sampling"})
    loop.ask("PATCH", f"projects/{loop.project_id}/", json={"show_collab_predictions": False})
    loop.connect()
    loop.learn()
    assert_one_of_each(loop)
    assert loop.ale.client.webhooks(loop.project_id)[0]["is_active"]
    assert loop.theirs["model_version"] == version


class LateReader(LabelStudioClient):
    """Read the tabs just before another process made them."""

    late = True

    def views(self, project_id: int) -> list[Json]:
        """None at first."""
        found = [] if self.late else super().views(project_id)
        self.late = False
        return found


def test_two_that_connect_at_the_same_moment_leave_one_of_each(new_loop: NewLoop) -> None:
    """As when the worker hears of the backend while `ale connect` is still at it: the later tabs are taken back."""
    loop = new_loop(messages(12))
    loop.start()
    before = loop.row
    projects.change(loop.ale.services.db, loop.key, review_view_id=None, unsure_view_id=None)
    ensure_tabs(loop.ale.services.db, LateReader(loop.ale.settings), loop.row, loop.control)
    titles = [view["data"]["title"] for view in loop.ale.client.views(loop.project_id)]
    assert sorted(titles) == sorted({DEFAULT_TITLE, REVIEW_TITLE, UNSURE_TITLE})
    assert (loop.row.review_view_id, loop.row.unsure_view_id) == (
        before.review_view_id,
        before.unsure_view_id,
    )


def test_disconnecting_undoes_all_of_it(new_loop: NewLoop) -> None:
    """Backend, webhook, tabs and sampling are as before; annotations stay; nothing is learnt any more;
    connecting again works.
    """
    loop = new_loop(messages(15), sampling="Sequential sampling")
    loop.start()
    task_id = min(loop.truth)
    loop.annotate(task_id)
    loop.learn()
    loop.disconnect()
    assert loop.ale.client.webhooks(loop.project_id) == []
    assert loop.ale.client.backends(loop.project_id) == []
    titles = {view["data"]["title"] for view in loop.ale.client.views(loop.project_id)}
    assert not titles & {REVIEW_TITLE, UNSURE_TITLE}
    assert loop.theirs["sampling"] == "Sequential sampling"
    assert not loop.theirs["model_version"]
    assert len(loop.annotations(task_id)) == 1
    runs = len(loop.runs)
    loop.annotate(task_id + 1)
    loop.ale.reconcile()
    loop.settle()
    assert len(loop.runs) == runs

    loop.start()
    assert_one_of_each(loop)
    assert loop.theirs["model_version"] == loop.version
    assert loop.last_run.n_labels == 2


def connect_by_hand(loop: Loop) -> None:
    """What a user does on the settings page; Label Studio then adds its own webhook, without any secret."""
    loop.ask(
        "POST",
        "ml/",
        json={
            "project": loop.project_id,
            "url": loop.ale.settings.url,
            "title": "My model",
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": loop.ale.settings.basic_auth_user,
            "basic_auth_pass": loop.ale.settings.basic_auth_pass.get_secret_value(),
        },
    )


def test_a_backend_connected_by_hand_is_adopted(new_loop: NewLoop) -> None:
    """The worker puts everything right: the webhook gets its secret, the secretless one is gone, the backend's
    title in model_version gives way to a version; no teacher that costs money is switched on.
    """
    loop = new_loop(messages(15))
    connect_by_hand(loop)
    theirs = loop.theirs
    assert theirs["model_version"] == "My model"
    assert [hook["headers"] for hook in loop.ale.client.webhooks(loop.project_id)] == [{}]
    wait_until(lambda: loop.row.status == "connected", PATIENCE_S, "the worker adopts it")
    loop.learn()
    assert_one_of_each(loop)
    assert loop.theirs["model_version"] == loop.version
    assert not loop.row.paid_teacher
    assert loop.predictions().keys() == loop.truth.keys()


def test_anybody_can_name_a_project_but_nothing_comes_of_it(new_loop: NewLoop) -> None:
    """/setup for a project that does not point at us, or that has another birthday, leads to no change."""
    loop = new_loop(messages(3))
    theirs = loop.theirs
    uid = f"{loop.project_id}.{ProjectKey.from_project('x', 1, theirs['created_at']).created_at}"
    other = f"{loop.project_id}.1234567890"
    for named in (uid, other):
        body = {
            "project": named,
            "schema": theirs["label_config"],
            "access_token": "x",
            "hostname": "http://x",
        }
        assert loop.ale.web("POST", "/setup", json=body).status_code == 200
    loop.settle()
    assert loop.row.status == "wished"
    assert "no ML backend of the project has the address" in loop.row.problem
    key = ProjectKey.from_uid(loop.ale.settings.label_studio_url, other)
    assert key is not None
    wait_until(
        lambda: projects.get(loop.ale.services.db, key).status == "gone", PATIENCE_S, "an impostor is gone"
    )
    assert loop.ale.client.webhooks(loop.project_id) == []
    assert loop.theirs["model_version"] == theirs["model_version"]


def test_start_training_comes_with_the_password(new_loop: NewLoop) -> None:
    """Label Studio's Start Training button leads to a learn run; without credentials nothing happens."""
    loop = new_loop(messages(9))
    loop.start()
    backend = loop.ale.client.backends(loop.project_id)[0]
    assert backend["title"] == BACKEND_TITLE
    runs = len(loop.runs)
    loop.ask("POST", f"ml/{backend['id']}/train", json={})
    loop.learn()
    assert len(loop.runs) == runs + 1
    body = {"action": "START_TRAINING", "project": {"id": loop.project_id}}
    assert loop.ale.http.post(f"{loop.ale.settings.url}/webhook", json=body).status_code == 401
    loop.settle()
    assert len(loop.runs) == runs + 1
