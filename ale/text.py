"""One way to make a text out of whatever a task holds, and one name (hash) for it."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from ale.types import Example

MAX_CHARS = 10_000
"""Texts are cut here. The encoder reads some 256 tokens, about 1,500 characters; the rest of the limit
leaves room for models with a longer sight, and keeps one pasted book from filling the memory."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with U+FFFD for NUL and lone surrogates, which neither SQL nor UTF-8 can hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def normalise(value: object) -> str | None:
    """The text as every part of the engine sees it; None when there is nothing to read.

    Strings only (a number or a list is a wrong data key, not a text). NFC, so that equal-looking texts are
    equal; and `storable`.
    """
    if not isinstance(value, str):
        return None
    # Cut before normalising as well: NFC over a pasted book costs seconds.
    text = storable(value.strip()[: 4 * MAX_CHARS])
    text = unicodedata.normalize("NFC", text).strip()[:MAX_CHARS].rstrip()
    return text or None


def text_hash(text: str) -> str:
    """32 hex digits that name a normalised text: equal texts, equal names."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def to_example(task: int, value: object) -> Example | None:
    """The example of a task's value, or None when it has no text."""
    text = normalise(value)
    return None if text is None else Example(id=task, text=text, text_hash=text_hash(text))
