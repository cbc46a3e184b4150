"""The stack that `.ci/docker` has started, or one that you started yourself: see there."""

from __future__ import annotations

import pytest

from tests.browser.conftest import chromium, pages, shots, signed_in
from tests.compose.stack import Stack
from tests.e2e.label_studio import LabelStudioUnderTest

__all__ = ["chromium", "pages", "shots", "signed_in"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The running stack."""
    return Stack(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="session")
def label_studio(stack: Stack) -> LabelStudioUnderTest:
    """Its Label Studio, for the browser."""
    return stack.account()
