"""What a reply says: a label of the config, or an abstention with its reason. Pure; nothing is ever guessed.

A reply is read strictly: one JSON object, possibly inside prose or a code fence, or a label alone. Two objects,
a name that no label has, or several labels are reasons to abstain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ale.chat import ChatReply
from ale.teachers.llm.names import Names
from ale.types import Abstention

MAX_CHARS = 50_000
"""A longer reply is no answer; looking for JSON in it could take minutes."""

_WRAPPING = "`*\"'“”‘’ \t\r\n"
_PROSE_WORDS = 6  # a bare reply of more words is no name of anything
_LABEL = re.compile(r'"label"\s*:\s*"?(\w+)')


class ReplyObject(dict[str, Any]):
    """A JSON object that remembers whether it names its label twice; `json` keeps the last and says nothing."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.label_twice = sum(key == "label" for key, _ in pairs) > 1


_DECODER = json.JSONDecoder(object_pairs_hook=ReplyObject)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label's position, or why there is none.

    `stated` is the probability that the model itself gave, in [0, 1]; None when it gave none that can be one.
    `span` is where in the content the label stands, word for word; None where that is not sure.
    """

    label: int | None = None
    abstention: Abstention | None = None
    stated: float | None = None
    span: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if (self.label is None) == (self.abstention is None):
            raise ValueError("a verdict is either a label or an abstention")


def read_reply(reply: ChatReply, names: Names) -> Verdict:
    """The label of a question about one text."""
    content = content_of(reply)
    if isinstance(content, Abstention):
        return Verdict(abstention=content)
    bare = _bare(content, names)
    objects = objects_in(content)
    if bare.label is not None or objects == []:
        return bare
    if objects is None or len(objects) > 1:
        return Verdict(abstention=Abstention.BAD_JSON)
    return _labelled(objects[0], names, _spans(content, objects)[0])


def read_batch(reply: ChatReply, names: Names, ids: Collection[str]) -> dict[str, Verdict]:
    """The labels of a question about several texts, by id.

    An id that is missing, or that stands there twice, is WRONG_ITEM: nobody knows which text was meant.
    """
    content = content_of(reply)
    if isinstance(content, Abstention):
        return dict.fromkeys(ids, Verdict(abstention=content))
    objects = objects_in(content)
    answers = objects[0].get("answers") if objects and len(objects) == 1 else None
    if not isinstance(answers, list) or not all(isinstance(answer, ReplyObject) for answer in answers):
        return dict.fromkeys(ids, Verdict(abstention=Abstention.BAD_JSON))
    found: dict[str, list[Verdict]] = {}
    for answer, span in zip(answers, _spans(content, answers), strict=True):
        found.setdefault(str(answer.get("id")), []).append(_labelled(answer, names, span))
    wrong = Verdict(abstention=Abstention.WRONG_ITEM)
    return {name: found[name][0] if len(found.get(name, ())) == 1 else wrong for name in ids}


def content_of(reply: ChatReply) -> str | Abstention:
    """What was said, or why that is no answer."""
    if reply.finish_reason == "content_filter":
        return Abstention.CONTENT_FILTER
    if reply.refusal:
        return Abstention.REFUSAL
    if reply.finish_reason == "length":
        return Abstention.TRUNCATED
    if reply.content is None:
        return Abstention.REFUSAL
    if not reply.content.strip() or len(reply.content) > MAX_CHARS:
        return Abstention.BAD_JSON
    # Servers that do not separate a model's thoughts from its answer; blanks keep positions as they are.
    thoughts = reply.content.rfind("</think>") + len("</think>") if "</think>" in reply.content else 0
    return " " * thoughts + reply.content[thoughts:]


def objects_in(content: str) -> list[ReplyObject] | None:
    """All outermost JSON objects, whatever stands around them; None where one is broken.

    What stands inside a broken object is not looked at: it may be an example that the model repeats.
    """
    found: list[ReplyObject] = []
    start = content.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(content, start)
        except (ValueError, RecursionError):  # also of an integer of thousands of digits, and of deep nesting
            return None
        found.append(value)
        start = content.find("{", end)
    return found


def _spans(content: str, answers: Sequence[ReplyObject]) -> list[tuple[int, int] | None]:
    """Where each answer's label stands, word for word; None for all where one could be taken for another's.

    Without a backslash each label's key stands there as it is, so that as many keys as answers, each before the
    beginning of its answer's label, are the answers' own: none is nested, repeated, or part of the prose around.
    """
    found = [match.span(1) for match in _LABEL.finditer(content)]
    said = [_said(answer.get("label")) for answer in answers]
    own = len(found) == len(said) and all(
        label.startswith(content[slice(*span)]) for span, label in zip(found, said, strict=True)
    )
    if not own or "\\" in content:
        return [None] * len(answers)
    return [span if content[slice(*span)] == label else None for span, label in zip(found, said, strict=True)]


def _said(value: object) -> str:
    """A label as it was written. A number or a truth value may be one without its quotes: 101, true."""
    if isinstance(value, list | dict):
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _bare(content: str, names: Names) -> Verdict:
    """A reply without JSON: a label and nothing else, be it quoted or with a full stop."""
    said = content.strip()
    unwrapped = said.strip(_WRAPPING).removesuffix(".").strip(_WRAPPING)
    for name in (said, unwrapped):
        label = names.find(name)
        if label is not None:
            at = content.index(name)
            return Verdict(label, span=(at, at + len(name)))
    if names.lists_several(unwrapped):
        return Verdict(abstention=Abstention.CARDINALITY)
    is_name = len(said.split()) <= _PROSE_WORDS and not set(said) & set("{}[]\n")
    return Verdict(abstention=Abstention.UNKNOWN_LABEL if is_name else Abstention.BAD_JSON)


def _labelled(answer: ReplyObject, names: Names, span: tuple[int, int] | None) -> Verdict:
    if "label" not in answer:
        return Verdict(abstention=Abstention.BAD_JSON)
    value = answer["label"]
    if isinstance(value, list) and len(value) == 1:
        value, span = value[0], None
    if answer.label_twice or value is None or value == "" or isinstance(value, list):
        return Verdict(abstention=Abstention.CARDINALITY)
    if isinstance(value, dict):
        return Verdict(abstention=Abstention.BAD_JSON)
    said = _said(value)
    label = names.find(said)
    if label is None:
        several = names.lists_several(said)
        return Verdict(abstention=Abstention.CARDINALITY if several else Abstention.UNKNOWN_LABEL)
    return Verdict(label, stated=_probability(answer.get("confidence")), span=span)


def _probability(value: object) -> float | None:
    """A number in [0, 1]; anything else (95, "high", NaN) was not said in a way that can be used."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        return None
    return float(value)
