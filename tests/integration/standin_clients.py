"""The real clients of OpenAI and Azure OpenAI, pointed at the stand-in, and the question that its tests ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import openai

from ml_backend.standin import SimulatedPolicy, StandIn

MODEL = "gpt-4.1-mini"
SYSTEM = 'Answer as JSON with one label.\n\nThe labels:\nA: "Praise" - likes it\nB: "Complaint"\n\nJSON only.'
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["A", "B"]}},
    "required": ["label"],
    "additionalProperties": False,
}
GOLD = {"lovely": "Praise", "awful": "Complaint"}
POLICY = SimulatedPolicy(GOLD, error_rate=0.0)


def client(standin: StandIn, **options: Any) -> openai.OpenAI:
    """OpenAI's client, which also checks that answers have the form that it knows."""
    return openai.OpenAI(
        base_url=standin.base_url,
        api_key="any",
        max_retries=0,
        _strict_response_validation=True,
        **options,
    )


def azure_client(standin: StandIn, **options: Any) -> openai.AzureOpenAI:
    """Azure's client, likewise; `_strict_response_validation=False` for files, as Azure has states of its own."""
    return openai.AzureOpenAI(
        azure_endpoint=standin.azure_endpoint,
        max_retries=0,
        **{"_strict_response_validation": True, "api_version": "2024-10-21", "api_key": "any", **options},
    )


def wanted(schema: dict[str, Any] = SCHEMA, *, strict: bool = True) -> dict[str, Any]:
    """The response format for a schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": strict, "schema": schema}}


def ask(ai: Any, text: str = "lovely", **options: Any) -> Any:
    """One question to a client, or to its raw side; an option None is left out."""
    question: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": json.dumps({"text": text})},
        ],
        "response_format": wanted(),
        "temperature": 0,
        "max_completion_tokens": 64,
        **options,
    }
    return ai.chat.completions.create(
        **{name: value for name, value in question.items() if value is not None}
    )


def outcome(ai: openai.OpenAI, text: str) -> object:
    """The error, or what was said and how it ended."""
    try:
        answer = ask(ai, text)
    except openai.APIError as error:
        return type(error)
    choice = answer.choices[0]
    return choice.message.content, choice.message.refusal, choice.finish_reason


def upload(ai: openai.OpenAI, rows: list[Any], purpose: Any) -> str:
    """Id of an uploaded JSONL file."""
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return ai.files.create(file=("rows.jsonl", content), purpose=purpose).id


PROVIDERS: dict[str, Callable[[StandIn], openai.OpenAI]] = {
    "openai": client,
    "azure": partial(azure_client, _strict_response_validation=False),
}
"""By whose paths."""
