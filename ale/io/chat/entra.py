"""Entra ID tokens for Azure OpenAI, where there is no key: the signed-in user, or the machine's identity."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ale.errors import MissingExtra, TeacherRefused, TeacherUnavailable
from ale.io.chat.openai_chat import TokenProvider

SCOPE = "https://cognitiveservices.azure.com/.default"


def entra_tokens(credential: Any = None) -> TokenProvider:
    """Gives a token at each request, fresh when the last one runs out.

    `credential` is one of `azure.identity`; without it, its default chain. Raises MissingExtra.
    """
    try:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ImportError as error:
        raise MissingExtra("Entra ID for Azure OpenAI", "azure") from error
    # Its default chain warns of every identity that this machine does not have. Ours is the one line to read.
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
    # The synchronous one, in a thread: the asynchronous one needs aiohttp besides.
    fetch = get_bearer_token_provider(credential or DefaultAzureCredential(), SCOPE)

    async def token() -> str:
        problem: TeacherUnavailable
        try:
            return await asyncio.to_thread(fetch)
        except ClientAuthenticationError:
            problem = TeacherRefused(
                "no Entra ID token: run `az login`, or give this machine an identity with the role "
                "'Cognitive Services OpenAI User'",
                reason="unauthorized",
            )
        except AzureError as error:
            problem = TeacherUnavailable(
                f"Entra ID cannot be reached ({type(error).__name__})", reason="unreachable"
            )
        raise problem

    return token
