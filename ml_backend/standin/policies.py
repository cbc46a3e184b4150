"""Who answers: a policy gives one judgement per item. All are deterministic for a seed, and none is a model."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ale.text import normalise
from ml_backend.standin.asked import Asked, Item


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about one item: a label, and the probability that each label would have been said.

    A label that was not asked for is written as it is, also where a schema forbids it: clients must check.
    """

    label: str
    probs: Mapping[str, float] = field(default_factory=dict)

    @property
    def confidence(self) -> float:
        """The probability of the label that was said; 1 where no probabilities are known."""
        return self.probs.get(self.label, 1.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """One judgement per item; or `content`, which is sent word for word."""

    said: tuple[Said, ...] = ()
    content: str | None = None


Policy = Callable[[Asked], Reply]


class RecordedPolicy:
    """Replays recorded answers: text to label, or to whatever was recorded. An unknown text gets a refusal
    to decide, in words.
    """

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = {_key(text): label for text, label in answers.items()}

    def __call__(self, asked: Asked) -> Reply:
        """The recorded answers, with no probabilities."""
        return Reply(tuple(Said(self._answers.get(_key(i.text), "not recorded")) for i in asked.items))


class SimulatedPolicy:
    """Knows the truth and errs at a stated rate; its confidence is drawn from a stated model.

    Right answers have confidence u + (1-u)·Beta(6, 2), wrong ones u + (1-u)·Beta(3, 3), u = 1/labels: told
    apart, but overconfident when wrong, as language models are. What is left goes half to the
    runner-up (the truth, when the answer is wrong) and evenly to the others. The first answer about a text is
    the same whenever it is asked; later draws (votes at a temperature) follow the probabilities.
    """

    def __init__(self, gold: Mapping[str, str], error_rate: float = 0.1, seed: int = 0) -> None:
        self._gold = {_key(text): label for text, label in gold.items()}
        self._error_rate = error_rate
        self._seed = seed

    def __call__(self, asked: Asked) -> Reply:
        """One judgement per item; a text without a known truth gets an evenly drawn label."""
        labels = list(dict.fromkeys(asked.labels.values()))
        return Reply(tuple(self._judge(item, labels, asked.draw) for item in asked.items))

    def _judge(self, item: Item, labels: list[str], draw: int) -> Said:
        key = _key(item.text)
        rng = random.Random(f"{self._seed}/{key}")
        others = [label for label in labels if label != self._gold.get(key)]
        if len(labels) < 2:
            return Said(labels[0] if labels else "", dict.fromkeys(labels, 1.0))
        truth = self._gold.get(key, rng.choice(labels))
        others = [label for label in labels if label != truth]
        wrong = rng.random() < self._error_rate
        said = rng.choice(others) if wrong else truth
        floor = 1 / len(labels)
        sure = floor + (1 - floor) * rng.betavariate(*((3, 3) if wrong else (6, 2)))
        runner_up = truth if wrong else rng.choice(others)
        rest = [label for label in labels if label not in {said, runner_up}]
        probs = {said: sure, runner_up: (1 - sure) * (0.5 if rest else 1.0)}
        probs |= dict.fromkeys(rest, (1 - sure) * 0.5 / max(1, len(rest)))
        if draw:
            again = random.Random(f"{self._seed}/{key}/{draw}")
            said = again.choices(list(probs), list(probs.values()))[0]
        return Said(said, probs)


class KeywordPolicy:
    """Answers with the label whose name and hint share the rarest words with the text. Needs no truth, and
    gets better when the hints do.
    """

    def __call__(self, asked: Asked) -> Reply:
        """One judgement per item; probabilities are the softmax of the words' weights."""
        labels = list(dict.fromkeys(asked.labels.values()))
        words = {label: _words(f"{label} {asked.hints.get(label, '')}") for label in labels}
        return Reply(tuple(self._judge(item, labels, words) for item in asked.items))

    def _judge(self, item: Item, labels: list[str], words: Mapping[str, set[str]]) -> Said:
        text = _words(item.text)
        scores = {}
        for label in labels:
            shared = text & words[label]
            scores[label] = sum(2.0 / sum(word in words[other] for other in labels) for word in shared)
        total = sum(math.exp(score) for score in scores.values())
        probs = {label: math.exp(score) / total for label, score in scores.items()}
        return Said(max(labels, key=lambda label: scores[label], default=""), probs)


class ByModel:
    """Another policy per model name: a cheap teacher and a dear one behind the same endpoint. `otherwise` answers
    for all other models, fine-tuned ones among them.
    """

    def __init__(self, policies: Mapping[str, Policy], otherwise: Policy) -> None:
        self._policies = dict(policies)
        self._otherwise = otherwise

    def __call__(self, asked: Asked) -> Reply:
        """The answer of that model's policy."""
        return self._policies.get(asked.model, self._otherwise)(asked)


def _key(text: str) -> str:
    """Texts are looked up as the engine normalises them."""
    return normalise(text) or ""


def _words(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"\w{3,}", text.casefold())}
