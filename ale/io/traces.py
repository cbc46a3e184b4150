"""Traces of other programs: JSON lines of {input, output, feedback, time}, TruLens records, OpenTelemetry GenAI spans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ale.io.rows import read_rows
from ale.scanner.texts import BadRow
from ale.text import storable

_INPUT = ("input", "main_input", "gen_ai.input.messages", "gen_ai.prompt", "gen_ai.prompt.0.content")
_OUTPUT = (
    "output",
    "main_output",
    "gen_ai.output.messages",
    "gen_ai.completion",
    "gen_ai.completion.0.content",
)
_TIME = ("time", "timestamp", "ts", "start_time", "startTimeUnixNano", "start_time_unix_nano")
_FEEDBACK = ("feedback", "feedback_results", "gen_ai.evaluation.score.label", "gen_ai.evaluation.score.value")
_GOOD = {"up", "good", "positive", "pass", "yes", "true", "correct", "like", "relevant", "1", "+1"}
_BAD = {"down", "bad", "negative", "fail", "no", "false", "incorrect", "dislike", "irrelevant", "0", "-1"}
_EVALUATION = "gen_ai.evaluation.result"
MOST_OUTPUT = 2_000


@dataclass(frozen=True, slots=True)
class Trace:
    """One call: text, answer, and what was said of it (up, down or nothing). `name` is of its content: 32 hex digits."""

    name: str
    text: str
    output: str | None
    thumbs: str
    label: str | None
    comment: str | None
    time: datetime | None


def read_traces(url: str) -> Iterator[Trace | BadRow]:
    """Every line, or why it is no trace: no JSON object, or no input that is a text."""
    for _, row in read_rows(url, ()):
        yield row if isinstance(row, BadRow) else _trace(row)


def _trace(row: Mapping[str, Any]) -> Trace | BadRow:
    flat = {**row, **_attributes(row.get("attributes"))}
    for event in row.get("events") or []:
        if isinstance(event, Mapping) and event.get("name") == _EVALUATION:
            flat |= _attributes(event.get("attributes"))
    text = _text(_first(flat, _INPUT), "user")
    if text is None:
        return BadRow.NO_TEXT
    output = _text(_first(flat, _OUTPUT), "assistant")
    thumbs, label, comment = _feedback(_first(flat, _FEEDBACK))
    name = hashlib.blake2b(json.dumps(row, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
    short = output[:MOST_OUTPUT] if output else None
    return Trace(name, text, short, thumbs, label, comment, _time(_first(flat, _TIME)))


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _attributes(given: Any) -> dict[str, Any]:
    """A span's: a mapping, or OTLP's list of keys with typed values."""
    if isinstance(given, Mapping):
        return dict(given)
    found = {}
    for pair in given if isinstance(given, list) else []:
        if isinstance(pair, Mapping) and isinstance(value := pair.get("value"), Mapping):
            found[str(pair.get("key"))] = next(iter(value.values()), None)
    return found


def _text(given: Any, role: str) -> str | None:
    """A text as it is; of messages, the last one of that role."""
    if isinstance(given, str) and given.lstrip().startswith(("[", "{")):
        with suppress(ValueError):  # a text that begins with a bracket
            given = json.loads(given)
    if isinstance(given, Mapping):
        inner = given.get("messages", given.get("text", given.get("content", given.get("input"))))
        given = inner if isinstance(inner, list) else [{"content": inner}]
    if isinstance(given, list):
        said = [m for m in given if isinstance(m, Mapping)]
        theirs = [m for m in said if m.get("role") == role] or [m for m in said if "role" not in m]
        given = _content(theirs[-1]) if theirs else None
    return storable(given).strip() or None if isinstance(given, str) else None


def _content(message: Mapping[str, Any]) -> Any:
    parts = message.get("parts", message.get("content"))
    if isinstance(parts, list):
        texts = [p.get("content", p.get("text")) if isinstance(p, Mapping) else p for p in parts]
        return "\n".join(text for text in texts if isinstance(text, str))
    return parts


def _feedback(given: Any) -> tuple[str, str | None, str | None]:
    """Thumbs, the right label, a comment. Of several scores the worst counts; a score in [0, 1] is bad below a half."""
    if isinstance(given, list):
        given = {
            str(i): one.get("result", one.get("score")) if isinstance(one, Mapping) else one
            for i, one in enumerate(given)
        }
    if not isinstance(given, Mapping):
        return _thumbs(given), None, None
    label, comment = given.get("label"), given.get("comment")
    stated = _thumbs(_first(given, ("thumbs", "rating", "score", "value")))
    scores = [_thumbs(value) for name, value in given.items() if name not in {"label", "comment"}]
    worst = stated or ("down" if "down" in scores else "up" if "up" in scores else "")
    return (
        worst,
        label if isinstance(label, str) and label else None,
        comment if isinstance(comment, str) and comment else None,
    )


def _thumbs(given: Any) -> str:
    if isinstance(given, bool):
        return "up" if given else "down"
    if isinstance(given, int | float):
        if not -1 <= given <= 1:  # a scale that nobody told, or NaN
            return ""
        return "up" if given >= 0.5 else "down"
    word = str(given).strip().lower() if isinstance(given, str) else ""
    return "up" if word in _GOOD else "down" if word in _BAD else ""


def _time(given: Any) -> datetime | None:
    """An ISO time, or seconds, milliseconds or nanoseconds since 1970; None where there is none that can be read."""
    with suppress(ValueError, TypeError, OverflowError, OSError):
        if isinstance(given, str) and not given.isdigit():
            moment = datetime.fromisoformat(given)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if given is not None and not isinstance(given, bool):
            seconds = float(given)
            while seconds > 1e11:
                seconds /= 1e3
            return datetime.fromtimestamp(seconds, UTC)
    return None
