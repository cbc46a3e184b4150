"""Replies that are not what was asked for: each as some model or other has given it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ml_backend.standin.behaviours import Alter, Behaviour
from ml_backend.standin.completion import Completion, Piece, Pieces

SCORES = {
    "score_nan": float("nan"),
    "score_above_1": 1.7,
    "score_negative": -0.2,
    "score_text": "high",
    "score_null": None,
}


def bad_replies() -> list[Behaviour]:
    """All of them. Names say what is wrong; a few (`fence`, `case_variant`, `extra_field`...) can be understood."""
    return [
        _altered("content_filter_finish", _said("", finish_reason="content_filter")),
        _altered("refusal", _said(None, refusal="I'm sorry, but I can't help with that.")),
        _altered("null_content", _said(None)),
        _altered("truncated", lambda c: replace(c, content=_cut(c.content or ()), finish_reason="length")),
        _altered("empty", _said("")),
        _altered("whitespace", _said(" \n\t \n")),
        _altered("huge_whitespace", _said("{" + "\n" * 2000)),
        _altered("apology", _said("I'm sorry, I can't tell which of these labels fits.")),
        _content("bad_json", _cut),
        _content("trailing_comma", lambda c: (*c[:-1], Piece(c[-1].text.replace("}", ",}", 1)))),
        _text("single_quotes", lambda text: text.replace('"', "'")),
        _content(
            "prose_json", lambda c: (Piece("Sure! Here is the label:\n"), *c, Piece("\nHope this helps."))
        ),
        _content("fence", lambda c: (Piece("```json\n"), *c, Piece("\n```"))),
        _content("commentary_first", lambda c: (Piece("The text is about its subject.\n\n"), *c)),
        _content("think_block", lambda c: (Piece("<think>\nLet me see {what} fits.\n</think>\n"), *c)),
        _content("two_objects", lambda c: (*c, Piece("\n"), *_changed_labels(c))),
        _content("two_equal_objects", lambda c: (*c, Piece("\n"), *c)),
        _label("unknown_label", lambda *_: "something else entirely"),
        _label("other_language", lambda *_: "étiquette inconnue"),
        _label("near_miss", _near),
        _label("case_variant", lambda written, _: f" {written.swapcase()} "),
        _label("empty_label", lambda *_: ""),
        _label("several_in_one", lambda written, choices: f"{written}, {_other(written, choices)}"),
        _value("several_labels", lambda written, choices: [written, _other(written, choices)]),
        _value("no_label", lambda *_: []),
        _value("null_label", lambda *_: None),
        _value("number_label", lambda *_: 7.5),
        _value("object_label", lambda written, _: {"name": written}),
        _json("missing_key", lambda _: {}),
        _json("wrong_key", lambda _: {"category_of_the_text": "?"}),
        _json("array_at_top", lambda whole: [whole]),
        _json("string_at_top", lambda _: "a label"),
        _field("extra_field", "explanation", '"because"'),
        _json("wrong_id", _map_ids(lambda id_: f"{id_}0")),
        _json("swapped_order", _lists(lambda rows: rows[::-1])),
        _json("missing_item", _lists(lambda rows: rows[:-1])),
        _json("twice_the_same_item", _lists(lambda rows: [*rows[:-1], rows[0]])),
        _json("extra_item", _lists(lambda rows: [*rows, rows[0]])),
        *(_scored(name, value) for name, value in SCORES.items()),
    ]


def _altered(name: str, alter: Alter) -> Behaviour:
    return Behaviour(name, alter=alter)


def _content(name: str, change: Callable[[Pieces], Pieces]) -> Behaviour:
    """The content is changed, and its log-probabilities stay with the pieces that are left."""

    def alter(completion: Completion) -> Completion:
        return (
            completion
            if completion.content is None
            else replace(completion, content=change(completion.content))
        )

    return Behaviour(name, alter=alter)


def _text(name: str, change: Callable[[str], str]) -> Behaviour:
    """The content is changed as one string."""
    return _content(name, lambda content: (Piece(change("".join(piece.text for piece in content))),))


def _label(name: str, change: Callable[[str, list[str]], str]) -> Behaviour:
    """Each label is replaced: `change(written, all that could be written)`."""

    def replaced(content: Pieces) -> Pieces:
        return tuple(
            replace(piece, text=_escaped(change(piece.text, list(piece.choices)))) if piece.choices else piece
            for piece in content
        )

    return _content(name, replaced)


def _value(name: str, change: Callable[[str, list[str]], Any]) -> Behaviour:
    """Each label is replaced, quotes included, by any JSON value."""

    def replaced(content: Pieces) -> Pieces:
        out: list[str] = []
        for piece in content:
            if piece.choices is None:
                out.append(piece.text)
            else:
                out.append("\0" + json.dumps(change(piece.text, list(piece.choices))) + "\0")
        return (Piece("".join(out).replace('"\0', "").replace('\0"', "").replace("\0", "")),)

    return _content(name, replaced)


def _field(name: str, key: str, value: str) -> Behaviour:
    """A further field, as raw text, at the end of each object that holds a label."""
    return _text(name, lambda text: text.replace("}", f', "{key}": {value}}}', 1))


def _json(name: str, change: Callable[[Any], Any]) -> Behaviour:
    """The content is parsed, changed and written again; what is no JSON object stays as it is."""

    def changed(text: str) -> str:
        try:
            return json.dumps(change(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
        except ValueError:
            return text

    return _text(name, changed)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _near(written: str, _: list[str]) -> str:
    """One letter off, and no other spelling of the same."""
    return written[:-1] + "x" if len(written) > 2 else f"{written}{written}x"


def _other(written: str, choices: list[str]) -> str:
    return next((choice for choice in choices if choice != written), written)


def _map_ids(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: change(str(value)) if key in {"id", "item", "item_id"} else walk(value)
                for key, value in node.items()
            }
        return [walk(inner) for inner in node] if isinstance(node, list) else node

    return walk


def _lists(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """Each list of objects is changed."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        return change(node) if isinstance(node, list) and node and isinstance(node[0], dict) else node

    return walk


def _said(content: str | None, **changes: Any) -> Alter:
    pieces = None if content is None else (Piece(content),)
    return lambda completion: replace(completion, content=pieces, **changes)


def _cut(content: Pieces) -> Pieces:
    """The first half of the content."""
    text = "".join(piece.text for piece in content)
    return (Piece(text[: max(1, len(text) // 2)]),)


def _scored(name: str, value: object) -> Behaviour:
    """The verbalised confidence is replaced, where there is one."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: value if isinstance(inner, float) and key != "label" else walk(inner)
                for key, inner in node.items()
            }
        return [walk(inner) for inner in node] if isinstance(node, list) else node

    return _json(name, walk)


def _changed_labels(content: Pieces) -> Pieces:
    return tuple(
        Piece(_escaped(_other(piece.text, list(piece.choices)))) if piece.choices else piece
        for piece in content
    )
