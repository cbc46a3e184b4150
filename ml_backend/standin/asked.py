"""What a policy sees of a request: the items' texts, and the labels that one may answer with.

This is the one place that knows how a prompt is laid out (`ale/teachers/llm` writes it): each user message is
a JSON object with a "text" or a list of "items", and the system message lists the labels. A prompt of another
make still works: then the last user message is the text, and the schema's enum the labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.standin import schema as schemas

_ROW = re.compile(r"(?:(?P<code>\w{1,4}):|-) (?P<label>\"(?:[^\"\\]|\\.)*\")(?: - (?P<hint>.*))?")
"""A label's line: `A: "label" - hint`, or `- "label" - hint` without codes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One text that is asked about; `id` as the prompt names it."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read. `labels` maps what the model is to write (a code, or the label itself) to the label;
    `hints` maps labels to what the prompt says about them. `schema` is the shape of the answer, taken from
    the prompt where the request has none.

    `draw` counts earlier questions about the same text at a temperature above 0: a policy may vary with it.
    """

    model: str
    system: str
    items: tuple[Item, ...]
    labels: Mapping[str, str]
    hints: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    draw: int = 0


def read(body: Mapping[str, Any], *, draw: int = 0) -> Asked:
    """The request as a policy sees it; nothing in it is checked here."""
    sent = body.get("messages")
    messages = [m for m in sent if isinstance(m, Mapping)] if isinstance(sent, list) else []
    system = "\n".join(_text(m) for m in messages if m.get("role") in {"system", "developer"})
    items, batch = _items([_text(m) for m in messages if m.get("role") == "user"])
    schema = _schema(body) or _shape(system, batch=batch)
    labels, hints = _labels(system, schema)
    return Asked(str(body.get("model", "")), system, items, labels, hints, schema, draw)


def _text(message: Mapping[str, Any]) -> str:
    """A message's text, also where the content is a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts: Sequence[Any] = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = body.get("response_format")
    inner = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _shape(system: str, *, batch: bool) -> dict[str, Any]:
    """The schema that the prompt's words ask for."""
    fields: dict[str, Any] = {"label": {"type": "string"}}
    if '"confidence"' in system:
        fields["confidence"] = {"type": "number"}
    if not batch:
        return {"type": "object", "properties": fields}
    one = {"type": "object", "properties": {"id": {"type": "string"}, **fields}}
    return {"type": "object", "properties": {"answers": {"type": "array", "items": one}}}


def _items(users: Sequence[str]) -> tuple[tuple[Item, ...], bool]:
    """The items of the last user message that holds some, and whether it holds a list of them.

    Not simply of the last message: that one may ask to answer again.
    """
    for message in reversed(users):
        try:
            data = json.loads(message)
        except ValueError:
            continue
        if not isinstance(data, dict):
            continue
        if isinstance(data.get("text"), str):
            return (Item(str(data.get("id", "1")), data["text"]),), False
        rows = [row for row in data.get("items") or [] if isinstance(row, dict) and "text" in row]
        if rows:
            return tuple(Item(str(row.get("id", n)), str(row["text"])) for n, row in enumerate(rows, 1)), True
    return (Item("1", users[-1]),) if users else (), False


def _labels(system: str, schema: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """What may be written to label, and label to hint; the schema's enum decides what may be written."""
    rows = _rows(system)
    coded = {code: label for code, label, _ in rows}
    hints = {label: hint for _, label, hint in rows}
    allowed = next((enum for enum in schemas.enums(schema) if enum), None)
    if allowed is None:
        return coded, hints
    return {word: coded.get(word, word) for word in allowed}, hints


def _rows(system: str) -> list[tuple[str, str, str]]:
    """(what is written, label, hint) of each label's line: the last such block, as instructions may hold any text."""
    blocks: list[list[tuple[str, str, str]]] = [[]]
    for line in system.split("\n"):
        row = _row(line)
        if row is not None:
            blocks[-1].append(row)
        elif blocks[-1]:
            blocks.append([])
    return next((block for block in reversed(blocks) if block), [])


def _row(line: str) -> tuple[str, str, str] | None:
    match = _ROW.fullmatch(line)
    if match is None:
        return None
    try:
        label = json.loads(match["label"])
    except ValueError:
        return None  # it looks like a label's line, but its string is none
    return match["code"] or label, label, match["hint"] or ""
