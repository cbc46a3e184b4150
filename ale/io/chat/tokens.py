"""How many tokens a text has: exactly, by estimate, and at most. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ale.chat import ChatRequest

BYTES_PER_TOKEN = 3
"""For estimates: English has four to five bytes per token, Chinese and Cyrillic two to four."""

MESSAGE_TOKENS = 16
"""What a chat template puts around a message, generously: OpenAI's takes 4, others name roles in words."""

SCHEMA_TOKENS = 256
"""What a provider may say around a schema that it hands to the model."""

_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of a text. `name` says how: a vocabulary of tiktoken's, or `bytes/3`."""

    name: str
    exact: bool
    count: Callable[[str], int]

    def __call__(self, text: str) -> int:
        """Its tokens."""
        return self.count(text)


def token_counter(model: str) -> TokenCounter:
    """tiktoken's count where the model's vocabulary lies in its local cache, else bytes/3.

    The cache is TIKTOKEN_CACHE_DIR, DATA_GYM_CACHE_DIR, or `data-gym-cache` in the temporary folder. A file
    whose checksum is wrong does not count: tiktoken would delete it and download another.
    """
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return TokenCounter("bytes/3", exact=False, count=estimate)
    if not _at_hand(name):
        return TokenCounter("bytes/3", exact=False, count=estimate)
    encoding: Any = tiktoken.get_encoding(name)
    # Special tokens in a text are text: they must not raise, and must not be read as special.
    return TokenCounter(
        name, exact=True, count=lambda text: len(encoding.encode(text, disallowed_special=()))
    )


def estimate(text: str) -> int:
    """About how many tokens a text has; rather too many than too few."""
    return math.ceil(_size(text) / BYTES_PER_TOKEN)


def upper_bound(text: str) -> int:
    """No tokenizer that falls back on bytes makes more tokens than a text has UTF-8 bytes."""
    return _size(text)


def prompt_tokens(request: ChatRequest, count: Callable[[str], int] = upper_bound) -> int:
    """Tokens of all that is sent, counted by `count`; with the default, a bound that holds."""
    said = sum(count(message.content) + MESSAGE_TOKENS for message in request.messages)
    if request.schema is None:
        return said
    return said + count(json.dumps(request.schema)) + SCHEMA_TOKENS


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _at_hand(name: str) -> bool:
    """Whether tiktoken would find this vocabulary without asking the network."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if folder == "" or name not in _SHA256:  # the empty name turns tiktoken's cache off
        return False
    # tiktoken names its files by the address they come from.
    file = Path(folder) / hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest()
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == _SHA256[name]
