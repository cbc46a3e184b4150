"""What one may choose about a language-model teacher, besides the model and the prompt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """How a teacher asks.

    votes: samples per text where the endpoint shows no log-probabilities; 1 = the model states its confidence.
    items_per_call: texts per question; more is cheaper and each answer's id is checked, but texts can influence each
        other's labels.
    examples: dynamic few-shot examples per question, 0 = none.
    example_tokens: at most this many tokens for them.
    max_text_chars: longer texts are shown as head and tail.
    completion_tokens: room for one answer; 16 times as much for models that reason first and can be told to reason
        little, 64 times for those that cannot: a reply that is cut off is paid, and then asked for again.
    concurrency: questions in flight at once.
    """

    votes: int = 1
    items_per_call: int = 1
    examples: int = 8
    example_tokens: int = 1500
    max_text_chars: int = 6000
    completion_tokens: int = 64
    concurrency: int = 16

    def __post_init__(self) -> None:
        least = {"examples": 0, "example_tokens": 0, "max_text_chars": 100, "completion_tokens": 16}
        for name in self.__slots__:
            if getattr(self, name) < least.get(name, 1):
                raise ValueError(f"{name} is {getattr(self, name)}; the least is {least.get(name, 1)}")
