"""Token numbers that are made up, but the same at every call: a stand-in has no tokenizer and no cache."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

BYTES_PER_TOKEN = 4
MESSAGE_TOKENS = 4
"""What each message costs besides its text, about."""

CACHE_FROM = 1024
CACHE_STEP = 128
"""OpenAI caches prompts of 1,024 tokens or more, in steps of 128."""

_PIECE = re.compile(r"[A-Za-z]{1,6}|\d{1,3}|\s+|[!-/:-@\[-`{-~]{1,3}|.", re.DOTALL)


def pieces(text: str) -> list[str]:
    """The text cut into token-like pieces; a code of up to six letters or three digits stays whole."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Estimated tokens: a quarter of the UTF-8 bytes, rounded up."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def rendered(messages: Iterable[Mapping[str, Any]], schema: str = "") -> bytes:
    """The prompt as one run of bytes, schema first: what a prefix is a prefix of."""
    parts = [schema, *(f"<{m.get('role')}>{m.get('content')}" for m in messages)]
    return "".join(parts).encode("utf-8", "surrogatepass")


class PrefixCache:
    """Remembers prompts by their prefixes, as a provider does, and says how much of a new one was seen."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._lock = threading.Lock()

    def cached_tokens(self, model: str, prompt: bytes) -> int:
        """Tokens of the longest prefix that this model has read before; the prompt is remembered.

        A multiple of 128, and 0 for prompts below 1,024 tokens.
        """
        marks = list(_prefixes(model, prompt))
        with self._lock:
            found = max((size for size, mark in marks if mark in self._seen), default=0)
            self._seen.update(mark for _, mark in marks)
        return found


def _prefixes(model: str, prompt: bytes) -> Iterable[tuple[int, bytes]]:
    size = CACHE_FROM
    digest = hashlib.blake2b(model.encode() + b"\0" + prompt[: size * BYTES_PER_TOKEN], digest_size=12)
    while size * BYTES_PER_TOKEN <= len(prompt):
        yield size, digest.digest()
        start = size * BYTES_PER_TOKEN
        size += CACHE_STEP
        digest.update(prompt[start : size * BYTES_PER_TOKEN])
