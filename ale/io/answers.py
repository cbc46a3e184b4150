"""Answers of a paid teacher in a file, line by line as they come: a benchmark that is run again pays nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ale.errors import ConfigurationError
from ale.types import Abstention, Answer, Confidence, Usage

logger = logging.getLogger(__name__)


class AnswerFile:
    """Answers by text hash; implements `ale.benchmark.opinion.AnswerStore`. One writer at a time.

    A line that is cut off (the process was killed) is skipped: that one text is asked again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            if lines and not path.read_bytes().endswith(b"\n"):
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n")
        except OSError as error:
            raise ConfigurationError(f"cannot keep answers in {path}: {error}") from error
        self._known = dict(found for line in lines if (found := _read(line)) is not None)
        if len(self._known) < len(lines):
            logger.warning("%s: %d lines are ignored", path, len(lines) - len(self._known))

    def known(self) -> Mapping[str, Answer]:
        """All answers so far."""
        return self._known

    def add(self, text_hash: str, answer: Answer) -> None:
        """Keep an answer; it is on disk when this returns."""
        self._known[text_hash] = answer
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_as_json(text_hash, answer)) + "\n")


def _as_json(text_hash: str, answer: Answer) -> dict[str, Any]:
    return {
        "text": text_hash,
        "probs": None if answer.probs is None else answer.probs.tolist(),
        "abstention": answer.abstention,
        "confidence": answer.confidence,
        "unseen": answer.unseen,
        "usage": [answer.usage.prompt, answer.usage.cached, answer.usage.completion],
        "prompt": answer.prompt,
    }


def _read(line: str) -> tuple[str, Answer] | None:
    try:
        row = json.loads(line)
        probs, abstention = row["probs"], row["abstention"]
        return str(row["text"]), Answer(
            probs=None if probs is None else np.array(probs, np.float32),
            abstention=None if abstention is None else Abstention(abstention),
            confidence=Confidence(row["confidence"]),
            unseen=float(row["unseen"]),
            usage=Usage(*row["usage"]),
            prompt=str(row["prompt"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
