"""The Label Studio that the demo and the tests start: reachable by token, quiet, and open to a loopback backend."""

from __future__ import annotations

import httpx
import pytest

from ml_backend.demo.label_studio_venv import VERSION
from tests.e2e.label_studio import LabelStudioUnderTest

pytestmark = pytest.mark.e2e


def test_it_is_the_pinned_version_and_our_token_works(label_studio: LabelStudioUnderTest) -> None:
    """A legacy token given at the first start is accepted at once."""
    assert label_studio.client.version()["release"] == VERSION
    assert label_studio.client.whoami()["email"] == label_studio.email


def test_a_webhook_may_point_at_loopback_but_not_at_cloud_metadata(
    label_studio: LabelStudioUnderTest,
) -> None:
    """Open what the backend needs, and nothing more."""
    project = label_studio.client.create_project(title="guards", label_config="<View></View>")
    answers = {
        address: httpx.post(
            f"{label_studio.url}/api/webhooks/",
            headers={"Authorization": f"Token {label_studio.token}"},
            json={"project": project["id"], "url": f"http://{address}/webhook"},
            timeout=20,
        ).status_code
        for address in ("127.0.0.1:9090", "169.254.169.254")
    }
    assert answers == {"127.0.0.1:9090": 201, "169.254.169.254": 403}
