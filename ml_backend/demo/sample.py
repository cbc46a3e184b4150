"""The sample project: customer messages of a shop for smart lamps, written for this project, eight intents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("data")
TITLE = "Support messages (ALE sample)"
DESCRIPTION = "Eight intents, 672 messages. The labels of the authors stay outside Label Studio."
FIELD = "text"


@dataclass(frozen=True, slots=True)
class Message:
    """A customer's message and the label that its author meant."""

    text: str
    label: str


def pool() -> list[Message]:
    """What is imported and labelled."""
    return _read("support_pool.jsonl")


def held_out() -> list[Message]:
    """What is never imported: the yardstick for teacher and student."""
    return _read("support_heldout.jsonl")


def label_config() -> str:
    """The labelling config; its hints are what annotators and teachers read."""
    return (DATA / "support_intents.xml").read_text(encoding="utf-8")


def project_values() -> dict[str, Any]:
    """How the project is created on Label Studio."""
    return {
        "title": TITLE,
        "description": DESCRIPTION,
        "label_config": label_config(),
        "expert_instruction": (DATA / "instructions.html").read_text(encoding="utf-8"),
        "show_instruction": True,
    }


def _read(name: str) -> list[Message]:
    with (DATA / name).open(encoding="utf-8") as file:
        return [Message(**json.loads(line)) for line in file]
