"""What a model is fine-tuned on: the very conversation in which it will be asked, with people's label as the reply.

Without few-shot examples: a fine-tuned model has them in its weights, and is asked without them too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ale.chat import Capabilities, Message
from ale.errors import ConfigurationError
from ale.teachers.llm.layout import Layout, choose_layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.prompt import Item, Prompt, load_prompt
from ale.teachers.llm.shots import EMPTY
from ale.teachers.llm.teacher import prompt_fingerprint
from ale.types import LabelSpace


@dataclass(frozen=True, slots=True)
class Lesson:
    """How one label space is taught; `fingerprint` is the one that the tuned model's answers will carry."""

    prompt: Prompt
    layout: Layout
    options: LLMOptions

    @property
    def fingerprint(self) -> str:
        """32 hex digits of all that is said besides the text."""
        return prompt_fingerprint(self.prompt, self.layout.labels, self.options, EMPTY)

    def conversation(self, text: str, label: int) -> tuple[Message, ...]:
        """System and user message as the teacher sends them, and the assistant's right reply."""
        asked = self.prompt.messages(
            self.layout, [Item("", text)], max_text_chars=self.options.max_text_chars
        )
        reply = json.dumps(self.layout.answer(label), ensure_ascii=False, separators=(",", ":"))
        return *asked, Message("assistant", reply)


def make_lesson(labels: LabelSpace, options: LLMOptions, prompt_version: str) -> Lesson:
    """The lesson for a label space. Raises UnknownName, and ConfigurationError for labels that have no codes.

    With codes only: a confidence in words could be taught as a constant only, which is none.
    """
    layout = choose_layout(labels, Capabilities(), options)
    if not layout.codes or len(labels) < 2:
        raise ConfigurationError(
            f"{len(labels)} labels cannot be fine-tuned on: it takes at least 2, and a code of one token for each"
        )
    return Lesson(load_prompt(prompt_version), layout, options)
