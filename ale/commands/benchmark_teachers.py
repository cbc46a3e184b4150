"""Who answers `ale benchmark --teacher`."""

from __future__ import annotations

import os
from pathlib import Path

from ale.errors import ConfigurationError, UnknownName
from ale.io.chat import DEFAULT_MODEL, ChatSpec, make_chat
from ale.io.chat.local import LocalLimiter, LocalMeter
from ale.io.chat.polite import PoliteChat
from ale.io.chat.prices import Tariff, load_prices
from ale.io.embeddings import CachedEncoder
from ale.io.tables import Table
from ale.protocols import Teacher
from ale.teachers import TEACHERS, resolve_teacher
from ale.teachers.llm import LLMTeacher
from ale.teachers.recorded import RecordedTeacher, answers_by_text

_MODEL_VARIABLES = ("OPENAI_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL")
"""What `openai` means, its key, and another server that speaks the same."""


def language_model(said: str, prices: Path | None, usd: float | None, tokens: int | None) -> LLMTeacher:
    """`openai:MODEL`, or `openai` for OPENAI_MODEL, at OpenAI or at OPENAI_BASE_URL, with a budget that is kept."""
    provider, _, named = said.partition(":")
    if provider == "azure":
        raise ConfigurationError(
            f"--teacher {said}: Azure is not supported by ale benchmark; name openai, openai:MODEL or "
            "recorded:COLUMN"
        )
    default, key, url = (os.environ.get(name, "") for name in _MODEL_VARIABLES)
    model = named or default or DEFAULT_MODEL
    if not (key or url):
        raise ConfigurationError(
            f"--teacher {said} needs OPENAI_API_KEY, or OPENAI_BASE_URL (a server of your own)"
        )
    if usd is None and tokens is None:
        raise ConfigurationError(f"say what --teacher {said} may cost: --budget-usd or --budget-tokens")
    tariff = Tariff(load_prices(prices), model, "--teacher openai:")
    meter = LocalMeter(model, tariff.price, usd=usd, tokens=tokens, tariff=tariff)
    chat = make_chat(ChatSpec(model, api_key=key, url=url))
    return LLMTeacher(PoliteChat(chat, LocalLimiter(), meter))


def free_teacher(name: str, pool: Table, text_column: str, encoder: CachedEncoder) -> Teacher | None:
    """The teacher of that name; a recorded one is read from the pool's table."""
    kind, _, column = name.partition(":")
    if kind == "recorded":
        if not column:
            raise ConfigurationError("which column? For example --teacher recorded:gpt_label")
        return RecordedTeacher(column, answers_by_text(pool.column(text_column), pool.column(column)))
    if name not in TEACHERS:
        raise UnknownName("teacher", name, [*TEACHERS, "recorded:COLUMN", "openai", "openai:MODEL"])
    return resolve_teacher(name, encoder)
