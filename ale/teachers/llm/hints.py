"""A language model writes a better hint for a label, from texts that were taken for another one.

What comes back is a proposal: it stands in a prompt only after the gate (`ale.patches`) has judged it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources

from ale.chat import Capabilities, ChatReply, ChatRequest, Message
from ale.teachers.llm.layout import choose_layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.parse import content_of, objects_in
from ale.teachers.llm.size import SHOT_CHARS, clip
from ale.text import storable
from ale.types import Abstention, LabelSpace

TEXTS = 10
"""More of them would cost more and say the same."""

_TOKENS = 200  # two sentences in any language, and the JSON around them
_SCHEMA = {
    "type": "object",
    "properties": {"hint": {"type": "string"}},
    "required": ["hint"],
    "additionalProperties": False,
}


def ask_for_hint(
    labels: LabelSpace, human: int, said: int, texts: Sequence[str], can: Capabilities
) -> ChatRequest:
    """The question for a better hint of label `human`, which was taken for `said` in these texts."""
    layout = choose_layout(labels, can, LLMOptions(completion_tokens=_TOKENS))
    data: dict[str, object] = {"missed": _label(labels, human), "said": _label(labels, said)}
    if labels.instructions.strip():
        data["instructions"] = storable(labels.instructions.strip())
    data["texts"] = [clip(text, SHOT_CHARS) for text in texts[:TEXTS]]
    user = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return ChatRequest(
        messages=(Message("system", _system()), Message("user", user)),
        max_tokens=layout.room,
        schema=_SCHEMA,
        temperature=layout.temperature,
    )


def read_hint(reply: ChatReply) -> str:
    """What the model wrote; empty when it wrote no hint, or none that can be read without guessing."""
    content = content_of(reply)
    found = [] if isinstance(content, Abstention) else objects_in(content)
    hint = found[0].get("hint") if found and len(found) == 1 else None
    return storable(hint).strip() if isinstance(hint, str) else ""


def _label(labels: LabelSpace, label: int) -> dict[str, str]:
    return {"label": storable(labels.labels[label]), "hint": storable(labels.hints[label])}


@cache
def _system() -> str:
    file = resources.files("ale.teachers.llm") / "hint_prompts" / "v1.txt"
    return file.read_text(encoding="utf-8").strip()
