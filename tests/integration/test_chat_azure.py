"""Azure OpenAI with Entra ID tokens, through the real `azure-identity`."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import ChainedTokenCredential, CredentialUnavailableError

from ale.errors import MissingExtra, TeacherRefused
from ale.io.chat import ChatSpec, make_chat
from ale.io.chat.entra import entra_tokens
from ale.io.chat.openai_chat import AzureChat
from ml_backend.standin import StandIn
from tests.integration.chats import FULL_POWER, KEY, MODEL, POLICY, Polite, question


class Credential:
    """A signed-in identity: each call gives what comes next, a token or an error."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self._outcomes = list(outcomes)
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """As `azure.core.credentials.TokenCredential` wants it."""
        self.scopes.extend(scopes)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return AccessToken(outcome, int(time.time()) + 3600)


def chat(standin: StandIn, credential: Credential) -> Polite:
    """A deployment that is reached with tokens."""
    azure = AzureChat(
        standin.azure_endpoint, MODEL, "2024-10-21", token=entra_tokens(credential), known=FULL_POWER
    )
    return Polite(azure)


def test_token_is_fetched_once_and_sent() -> None:
    """The stand-in takes the bearer token; a second question uses the same one."""
    credential = Credential("a-token")
    with StandIn(POLICY) as standin:
        polite = chat(standin, credential)
        assert polite.ask().content
        assert polite.ask().content
    assert credential.scopes == ["https://cognitiveservices.azure.com/.default"]


def test_nobody_signed_in_is_refused() -> None:
    """Without an identity nothing is sent, nothing is asked again, and the message says what to do."""
    with StandIn(POLICY) as standin:
        polite = chat(standin, Credential(ClientAuthenticationError("tenant 1234 said no")))
        with pytest.raises(TeacherRefused, match="az login") as caught:
            polite.ask()
        assert caught.value.reason == "unauthorized"
        assert "1234" not in str(caught.value)
        assert len(standin.calls) == 0
        assert (polite.meter.tokens, polite.meter.open) == (0, 0)


def test_the_default_chain_has_no_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """It warns of every identity that a machine does not have; our one message says what to do."""
    nobody: Any = Credential(CredentialUnavailableError("none"))
    chain = ChainedTokenCredential(nobody)

    async def sign_in() -> str:
        return await entra_tokens(chain)()

    with pytest.raises(TeacherRefused, match="az login"):
        asyncio.run(sign_in())
    assert caplog.records == []


def test_sign_in_that_cannot_be_reached_is_tried_again() -> None:
    """A fault of the network on the way to Entra ID passes."""
    credential = Credential(ServiceRequestError("no route"), "a-token")
    with StandIn(POLICY) as standin:
        polite = chat(standin, credential)
        assert polite.ask().content
    assert len(polite.time.slept) == 1


def test_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without azure-identity and without a key the message names the extra to install."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(MissingExtra, match=r"\[azure\]"):
        make_chat(ChatSpec("d", provider="azure", url="https://r.openai.azure.com", api_version="2024-10-21"))


def test_spec_makes_a_deployment_under_another_name() -> None:
    """The request names the deployment, prices go by the model, stored answers by resource and deployment."""
    with StandIn(POLICY, models=["our-labeller"]) as standin:
        spec = ChatSpec(
            MODEL,
            provider="azure",
            api_key=KEY,
            url=standin.azure_endpoint,
            deployment="our-labeller",
            api_version="2024-10-21",
        )
        azure = make_chat(spec)
        assert asyncio.run(azure.complete(question())).content
        assert azure.model == MODEL
        assert azure.name == f"azure@127.0.0.1:{standin.port}:our-labeller"
        assert {call.model for call in standin.calls.all()} == {"our-labeller"}
