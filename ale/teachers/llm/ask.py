"""One question to the model, and the one more that a reply without form may cost. Abstains, never guesses.

What is asked again, once: a reply that was cut off (with more room), a reply without form (told so), and what
a question about several texts left open (each text alone). A label that does not exist is an answer, and a
refusal is one too: neither is asked again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from ale.chat import Chat, ChatReply, ChatRequest
from ale.errors import ContentFiltered
from ale.teachers.llm.confidence import from_logprobs, from_statement, from_votes, hard
from ale.teachers.llm.layout import Layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.parse import Verdict, read_batch, read_reply
from ale.teachers.llm.prompt import Item, Prompt
from ale.teachers.llm.shots import Shot
from ale.types import Abstention, Answer, Confidence, Usage

MORE_ROOM = 4
"""Times the room of a reply that was cut off; a second cut is an abstention."""

FILTERED = ChatReply(None, finish_reason="content_filter")
"""What counts as the reply to a question that the provider's filter stopped."""

_FINAL = {None, Abstention.UNKNOWN_LABEL, Abstention.CARDINALITY}


class Asker:
    """Asks one endpoint in one layout. Raises TeacherUnavailable; all else that goes wrong is an abstention."""

    def __init__(
        self, chat: Chat, prompt: Prompt, layout: Layout, options: LLMOptions, fingerprint: str
    ) -> None:
        self._chat = chat
        self._prompt = prompt
        self._layout = layout
        self._options = options
        self._fingerprint = fingerprint
        self._names = layout.names

    async def one(self, text: str, shots: Sequence[Shot]) -> Answer:
        """The answer to a text, from as many samples as the layout wants."""
        samples: list[Answer] = []
        for _ in range(self._layout.votes):
            samples.append(await self._sample(text, shots))
            if samples[-1].abstention is Abstention.CONTENT_FILTER:
                break  # the filter says the same each time
        if self._layout.votes == 1:
            return samples[0]
        return replace(from_votes(samples, len(self._layout.labels)), prompt=self._fingerprint)

    async def several(
        self, items: Sequence[Item], shots: Sequence[Shot]
    ) -> AsyncGenerator[tuple[str, Answer]]:
        """Each item's id with its answer. What one question settles comes first, then what was asked alone:
        an endpoint that fails in between costs nothing that was paid.
        """
        layout = self._layout.for_batch()
        verdicts, reply = await self._read_batch(layout, items, shots)
        shares = _shares(reply.usage, len(items))
        for item, share in zip(items, shares, strict=True):
            if verdicts[item.id].abstention in _FINAL:
                yield item.id, self._answer(verdicts[item.id], reply, share)
        for item, share in zip(items, shares, strict=True):
            left_open = verdicts[item.id].abstention
            if left_open not in _FINAL:
                bad = left_open is Abstention.BAD_JSON
                alone, second = await self._read_batch(layout, [item], shots, more=MORE_ROOM, problem=bad)
                yield item.id, self._answer(alone[item.id], second, share + second.usage)

    def question(self, text: str, shots: Sequence[Shot]) -> ChatRequest:
        """The first question that `one` asks about a text."""
        return self._request(self._layout, [Item("", text)], shots)

    def read(self, reply: ChatReply) -> Answer:
        """What the reply to that question says; nothing is asked again."""
        return self._answer(read_reply(reply, self._names), reply, reply.usage)

    async def _sample(self, text: str, shots: Sequence[Shot]) -> Answer:
        item = Item("", text)
        reply = await self._complete(self._layout, [item], shots)
        verdict = read_reply(reply, self._names)
        usage = reply.usage
        if verdict.abstention in {Abstention.TRUNCATED, Abstention.BAD_JSON}:
            cut = verdict.abstention is Abstention.TRUNCATED
            more = MORE_ROOM if cut else 1
            reply = await self._complete(self._layout, [item], shots, more=more, problem=not cut)
            verdict = read_reply(reply, self._names)
            usage = usage + reply.usage
        return self._answer(verdict, reply, usage)

    async def _read_batch(
        self,
        layout: Layout,
        items: Sequence[Item],
        shots: Sequence[Shot],
        *,
        more: int = 1,
        problem: bool = False,
    ) -> tuple[dict[str, Verdict], ChatReply]:
        reply = await self._complete(layout, items, shots, more=more, problem=problem)
        return read_batch(reply, self._names, [item.id for item in items]), reply

    async def _complete(
        self,
        layout: Layout,
        items: Sequence[Item],
        shots: Sequence[Shot],
        *,
        more: int = 1,
        problem: bool = False,
    ) -> ChatReply:
        """The reply; a question that the provider's filter stopped gets an empty one that says so."""
        try:
            return await self._chat.complete(self._request(layout, items, shots, more=more, problem=problem))
        except ContentFiltered:
            return FILTERED

    def _request(
        self,
        layout: Layout,
        items: Sequence[Item],
        shots: Sequence[Shot],
        *,
        more: int = 1,
        problem: bool = False,
    ) -> ChatRequest:
        messages = self._prompt.messages(
            layout, items, shots, max_text_chars=self._options.max_text_chars, problem=problem
        )
        return ChatRequest(
            messages=messages,
            max_tokens=layout.room * len(items) * more,
            schema=layout.schema,
            logprobs=bool(layout.codes),
            temperature=layout.temperature,
        )

    def _answer(self, verdict: Verdict, reply: ChatReply, usage: Usage) -> Answer:
        """The distribution by the best evidence there is, and which it was; the verdict's label is its likeliest."""
        if verdict.label is None:
            return Answer(None, verdict.abstention, usage=usage, prompt=self._fingerprint)
        size, unseen, how = len(self._layout.labels), 0.0, Confidence.NONE
        probs = hard(verdict.label, size)
        if verdict.stated is not None:
            probs, how = from_statement(verdict.label, verdict.stated, size), Confidence.VERBALISED
        if self._layout.codes and reply.tokens and verdict.span and reply.content is not None:
            codes = self._layout.codes
            read = from_logprobs(reply.tokens, reply.content, verdict.span, codes, verdict.label)
            if read is not None:
                (probs, unseen), how = read, Confidence.LOGPROBS
        return Answer(probs, confidence=how, unseen=unseen, usage=usage, prompt=self._fingerprint)


def _shares(usage: Usage, parts: int) -> list[Usage]:
    """A call's tokens by item: whole numbers that add up to them."""
    share = Usage(usage.prompt // parts, usage.cached // parts, usage.completion // parts)
    rest = Usage(usage.prompt % parts, usage.cached % parts, usage.completion % parts)
    return [share + rest] + [share] * (parts - 1)
