"""How an answer is asked for, given what the endpoint can do: codes or names, one text or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ale.chat import Capabilities
from ale.teachers.llm.codes import codes_for
from ale.teachers.llm.names import Names
from ale.teachers.llm.options import LLMOptions
from ale.types import LabelSpace

# OpenAI refuses schemas with more values than this, or with longer ones in sum. The parser checks anyway.
_ENUM_VALUES, _ENUM_CHARS = 500, 15_000
# Times the room: reasoning counts as completion. What is set aside is given back, what is cut off is paid in vain.
_REASONING_LITTLE, _REASONING_FREELY = 16, 64
_VOTING_TEMPERATURE = 0.7  # of self-consistency (Wang et al., 2023): samples differ, and still make sense


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to ask. `codes` is empty when the answer is a label's name."""

    labels: LabelSpace
    codes: tuple[str, ...] = ()
    states_confidence: bool = False
    batch: bool = False
    votes: int = 1
    temperature: float | None = 0.0
    room: int = 64

    @property
    def words(self) -> tuple[str, ...]:
        """What one answers with, by label."""
        return self.codes or self.labels.labels

    @property
    def names(self) -> Names:
        """What a reply may call a label."""
        return Names(self.labels, self.codes)

    def for_batch(self) -> Layout:
        """The same with several texts per question, each with an id."""
        return replace(self, batch=True)

    def answer(self, label: int) -> dict[str, str]:
        """The JSON of an answer that people have given: they state no confidence."""
        return {"label": self.words[label]}

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the reply; the label is an enum of what may be answered."""
        label: dict[str, Any] = {"type": "string"}
        if len(self.words) <= _ENUM_VALUES and sum(map(len, self.words)) <= _ENUM_CHARS:
            label["enum"] = list(self.words)
        fields = {"label": label}
        if self.states_confidence:
            fields["confidence"] = {"type": "number"}
        if not self.batch:
            return _object(fields)
        return _object({"answers": {"type": "array", "items": _object({"id": {"type": "string"}, **fields})}})


def choose_layout(labels: LabelSpace, can: Capabilities, options: LLMOptions) -> Layout:
    """Codes where log-probabilities can be read, else votes when configured, else a stated confidence."""
    base = Layout(
        labels,
        temperature=0.0 if can.temperature else None,
        room=options.completion_tokens * _times(can),
    )
    codes = codes_for(labels) if can.logprobs else ()
    if codes:
        return replace(base, codes=codes)
    longest = max((len(label.encode()) for label in labels.labels), default=0)
    named = replace(base, room=base.room + longest // 2)
    if options.votes > 1:
        sampled = _VOTING_TEMPERATURE if can.temperature else None
        return replace(named, votes=options.votes, temperature=sampled)
    return replace(named, states_confidence=True)


def _times(can: Capabilities) -> int:
    """A model that takes no temperature is one that reasons before it answers."""
    if can.temperature:
        return 1
    return _REASONING_LITTLE if can.low_effort else _REASONING_FREELY


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
