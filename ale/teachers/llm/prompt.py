"""What a language model is told. Everything that is the same for all texts comes first, so that providers
find it in their prompt caches; the text comes last, inside JSON, so that nothing in it can end it.

The system message says the task, the annotators' instructions, the labels (a line for each: `A: "Spam" - hint`,
or `- "Spam" - hint` without codes; the name is a JSON string) and the form of the answer. The one user message
is a JSON object: `{"examples": [{"text", "label"}...], "text": ...}`, or `"items": [{"id", "text"}...]` in place
of `"text"`. Pieces are joined, never formatted: braces, percent and dollar signs mean nothing here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ale.chat import Message
from ale.errors import UnknownName
from ale.teachers.llm.layout import Layout
from ale.teachers.llm.shots import Shot
from ale.teachers.llm.size import SHOT_CHARS, clip
from ale.text import storable
from ale.types import LabelSpace

_HEADING = re.compile(r"^== (.+) ==$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Item:
    """A text that is asked about; `id` matters only among several."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of the prompt: named pieces of text."""

    version: str
    pieces: Mapping[str, str]

    def system(self, layout: Layout) -> str:
        """The system message."""
        labels = layout.labels
        pieces = self.pieces
        told = [pieces["task"]]
        if labels.instructions.strip():
            told.append(pieces["instructions"] + "\n" + labels.instructions.strip())
        told.append(pieces["labels by code" if layout.codes else "labels by name"] + "\n" + _lines(layout))
        told.append(pieces["data"])
        if layout.codes:
            told.append(pieces["answer with code"])
        else:
            told.append(pieces["answer with name" + (" and confidence" if layout.states_confidence else "")])
        if layout.batch:
            told.append(pieces["batch"])
        return storable("\n\n".join(told))

    def messages(
        self,
        layout: Layout,
        items: Sequence[Item],
        shots: Sequence[Shot] = (),
        *,
        max_text_chars: int,
        problem: bool = False,
    ) -> tuple[Message, ...]:
        """The conversation that asks for the items' labels; `problem` says that the last answer had no form."""
        data: dict[str, Any] = {}
        if shots:
            data["examples"] = [_example(shot, layout) for shot in shots]
        texts = [clip(item.text, max_text_chars) for item in items]
        if layout.batch:
            data["items"] = [{"id": item.id, "text": text} for item, text in zip(items, texts, strict=True)]
        else:
            (data["text"],) = texts
        if problem:
            data["problem"] = self.pieces["problem"]
        return Message("system", self.system(layout)), Message("user", _json(data))

    def fingerprint(self, labels: LabelSpace, *more: object) -> str:
        """32 hex digits that change with the prompt's words, the labels and all that is told of them, or `more`."""
        said = [labels.labels, labels.hints, labels.aliases, labels.instructions]
        payload = json.dumps([self.version, dict(self.pieces), said, *more], sort_keys=True)
        return hashlib.sha256(payload.encode()).hexdigest()[:32]


@cache
def load_prompt(version: str) -> Prompt:
    """The prompt of that version, a file of this package; raises UnknownName with the versions there are."""
    folder = resources.files("ale.teachers.llm") / "prompts"
    known = sorted(
        entry.name.removesuffix(".txt") for entry in folder.iterdir() if entry.name.endswith(".txt")
    )
    if version not in known:
        raise UnknownName("prompt version", version, known)
    _, *parts = _HEADING.split((folder / f"{version}.txt").read_text(encoding="utf-8"))
    return Prompt(version, {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)})


def _lines(layout: Layout) -> str:
    marks = [f"{code}:" for code in layout.codes] or ["-"] * len(layout.labels)
    rows = zip(marks, layout.labels.labels, layout.labels.hints, strict=True)
    return "\n".join(
        f"{mark} {json.dumps(label, ensure_ascii=False)}"
        + (f" - {' '.join(hint.split())}" if hint.strip() else "")
        for mark, label, hint in rows
    )


def _example(shot: Shot, layout: Layout) -> dict[str, str]:
    shown = {"text": clip(shot.text, SHOT_CHARS), "label": layout.words[shot.label]}
    return {**shown, "note": storable(shot.note)} if shot.note else shown


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
