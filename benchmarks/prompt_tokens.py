"""Tokens and money per labelled text, for four ways to ask: no examples, 16 fixed ones, dynamic ones, ten at once.

The prompts are those that the teacher sends; only the endpoint is missing. Tokens are counted with tiktoken
where its vocabulary is at hand, else estimated at three bytes each. The provider's cache is modelled as OpenAI
describes it: a prompt's beginning that an earlier prompt had too costs less, from 1,024 tokens on, in steps of
128. What the ways of asking do to the accuracy can only be measured with a real model: this says what they cost.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ale.chat import Capabilities, ChatRequest
from ale.io.chat.prices import Price, load_prices
from ale.io.chat.tokens import TokenCounter, token_counter
from ale.io.encoder import resolve_encoder
from ale.teachers.llm.layout import Layout, choose_layout
from ale.teachers.llm.options import LLMOptions
from ale.teachers.llm.prompt import Item, load_prompt
from ale.teachers.llm.shots import Shot, ShotPicker, ShotSet, make_shots, unit_rows
from ale.text import normalise
from ale.types import Embeddings, LabelSpace, Usage
from benchmarks.figures import show

CACHE_FROM, CACHE_STEP = 1024, 128
ROLE_TOKENS = 4
"""What OpenAI's chat format puts around a message."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts to ask about, and labelled ones to take examples from, with embeddings."""

    labels: LabelSpace
    texts: list[str]
    vectors: Embeddings
    shots: list[Shot]
    shot_vectors: Embeddings


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask: its name, examples that stand in every prompt, examples chosen per question, texts per question."""

    name: str
    fixed: int = 0
    dynamic: int = 0
    per_call: int = 1


WAYS = (
    Way("no examples"),
    Way("16 fixed examples", fixed=16),
    Way("8 dynamic examples", dynamic=8),
    Way("16 dynamic examples", dynamic=16),
    Way("8 dynamic after 8 standing", fixed=8, dynamic=8),
    Way("no examples, 10 texts per question", per_call=10),
    Way("8 dynamic examples, 10 texts per question", dynamic=8, per_call=10),
)


def read_pool(file: Path, size: int, labelled: int, seed: int) -> Pool:
    """`size` texts to ask about and `labelled` others, drawn at random. Raises ValueError when there are fewer."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [(normalise(row["text"]) or "", row["label"]) for row in csv.DictReader(lines)]
    labels = LabelSpace(tuple(sorted({label for _, label in rows})))
    rows = list({text: (text, label) for text, label in rows if text}.values())
    if len(rows) < size + labelled:
        raise ValueError(f"{file} holds {len(rows)} different texts, {size + labelled} were asked for")
    order = np.random.default_rng(seed).permutation(len(rows))[: size + labelled]
    chosen = [rows[i] for i in order]
    vectors = unit_rows(resolve_encoder().encode([text for text, _ in chosen]))
    shots = [Shot(text, labels.labels.index(label)) for text, label in chosen[size:]]
    return Pool(labels, [text for text, _ in chosen[:size]], vectors[:size], shots, vectors[size:])


def requests(
    pool: Pool, way: Way, count: Callable[[str], int]
) -> Iterator[tuple[ChatRequest, Layout, list[Item]]]:
    """The questions of a pass over the pool, with what each must be answered with."""
    options = LLMOptions(examples=way.dynamic, items_per_call=way.per_call)
    layout = choose_layout(pool.labels, Capabilities(), options)
    layout = layout.for_batch() if way.per_call > 1 else layout
    standing = ShotPicker(
        make_shots(pool=pool.shots),
        len(pool.labels),
        most=way.fixed,
        tokens=options.example_tokens,
        count=count,
    ).pick(())
    shots: ShotSet = make_shots(standing, pool.shots, pool.shot_vectors)
    picker = ShotPicker(shots, len(pool.labels), most=way.dynamic, tokens=options.example_tokens, count=count)
    prompt = load_prompt("v1")
    for start in range(0, len(pool.texts), way.per_call):
        items = [
            Item(f"{i:04x}", pool.texts[i]) for i in range(start, min(start + way.per_call, len(pool.texts)))
        ]
        dynamic = picker.pick([item.text for item in items], pool.vectors[start : start + way.per_call])
        messages = prompt.messages(layout, items, standing + dynamic, max_text_chars=options.max_text_chars)
        yield ChatRequest(messages, layout.room, layout.schema, logprobs=True), layout, items


def usage_of(pool: Pool, way: Way, count: Callable[[str], int]) -> Usage:
    """Tokens of the whole pass. The cache holds what two prompts in a row have in common at their beginning."""
    total, before = Usage(), ""
    for request, layout, items in requests(pool, way, count):
        # OpenAI puts the answer's schema before the system message, charges it, and caches it with the rest.
        parts = [json.dumps(request.schema), *(message.content for message in request.messages)]
        said = "\n".join(parts)
        prompt = count(said) + ROLE_TOKENS * len(request.messages)
        same = next((i for i, (a, b) in enumerate(zip(said, before, strict=False)) if a != b), 0)
        shared = count(said[:same])
        cached = shared // CACHE_STEP * CACHE_STEP if shared >= CACHE_FROM else 0
        one = f'{{"label":"{layout.words[0]}"}}'
        answer = (
            one
            if not layout.batch
            else '{"answers":[' + ",".join(f'{{"id":"{i.id}",{one[1:]}' for i in items) + "]}"
        )
        total += Usage(prompt, cached, count(answer))
        before = said
    return total


def main(arguments: Sequence[str]) -> int:
    """Prints a table per file."""
    parser = argparse.ArgumentParser(prog="prompt_tokens", description=__doc__)
    parser.add_argument(
        "--csv", type=Path, action="append", default=[], help="columns text and label; repeatable"
    )
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--labelled", type=int, default=400, help="texts that examples are taken from")
    parser.add_argument("--model", default="gpt-4.1-mini", help="whose tokens and prices")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.csv:
        print("prompt_tokens: nothing to read, name files with --csv")
        return 0
    counter = token_counter(options.model)
    price = load_prices().of(options.model)
    if price is None:
        parser.error(f"no price is known for {options.model}")
    for file in options.csv:
        _report(file, read_pool(file, options.texts, options.labelled, options.seed), counter, price)
    return 0


def _report(file: Path, pool: Pool, counter: TokenCounter, price: Price) -> None:
    n = len(pool.texts)
    usages = {way.name: usage_of(pool, way, counter) for way in WAYS}
    cheapest = min(usages, key=lambda name: price.usd(usages[name]))
    show(
        f"{file}: {n} texts, {len(pool.labels)} labels; tokens per text by {counter.name}; cheapest: {cheapest}",
        ["way to ask", "prompt", "of it cached", "completion", "USD per 1,000 texts", "times the first"],
        [
            (
                name,
                f"{usage.prompt / n:.0f}",
                f"{usage.cached / n:.0f}",
                f"{usage.completion / n:.1f}",
                f"{1000 * price.usd(usage) / n:.3f}",
                f"{price.usd(usage) / price.usd(usages[WAYS[0].name]):.2f}",
            )
            for name, usage in usages.items()
        ],
    )
