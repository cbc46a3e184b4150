"""From what a model said to a distribution over the labels; each way says which one it was.

None of them is calibrated: that happens in one place, against people's labels (`ale.teachers.calibrate`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ale.chat import TokenProbs
from ale.teachers.llm.names import normal
from ale.types import Answer, Confidence, Usage

# A code's token may come with what stands around it in JSON: a quote, a blank, a brace.
_AROUND = re.compile(r"^\W+|\W+$")


def from_logprobs(
    tokens: Sequence[TokenProbs], content: str, span: tuple[int, int], codes: Sequence[str], label: int
) -> tuple[NDArray[np.float32], float] | None:
    """The distribution at the place of the said label's code, and the mass that was not shown there.

    The likeliest tokens are added up per code (with blank, with quote). Mass that the endpoint did not show
    goes evenly to the codes that it did not name, none of them above the least likely token shown; mass on
    tokens that are no code is left out. A code of several tokens has only its own joint probability, and the
    rest counts as not shown. None when the tokens do not make up the content, or when it is not the code of
    `label` that stands at the place.

    The label said is what the model answered, and stays ahead. Where another code is as likely or likelier (the
    token was sampled, or a grammar had masked the other), what is shown is no distribution of this answer. Of it
    only the probability of the label said is used, as if the model had stated it: a weak answer stays weak.
    """
    place = _tokens_at(tokens, content, span)
    said = {normal(code): i for i, code in enumerate(codes)}
    if not place or normal(content[slice(*span)]) != normal(codes[label]):
        return None
    mass = np.zeros(len(codes), np.float64)
    if len(place) > 1:
        mass[label] = _probability(sum(token.logprob for token in place))
        unseen, least = 1.0 - mass[label], 1.0
    else:
        (token,) = place
        shown = dict(token.top)
        shown.setdefault(token.token, token.logprob)
        for text, logprob in shown.items():
            code = said.get(normal(_AROUND.sub("", text)))
            if code is None and text == token.token:
                code = label
            if code is not None:
                mass[code] += _probability(logprob)
        unseen = max(0.0, 1.0 - sum(map(_probability, shown.values())))
        least = min(map(_probability, shown.values()))
    unnamed = mass == 0.0
    if unnamed.any():
        mass[unnamed] = min(unseen / unnamed.sum(), least)
    if not mass.sum() > 0.0:
        return None
    probs = (mass / mass.sum()).astype(np.float32)
    if np.argmax(probs) != label:
        probs = from_statement(label, float(probs[label]), len(codes))
    return probs, float(unseen)


def from_statement(label: int, stated: float, n_labels: int) -> NDArray[np.float32]:
    """The stated probability on its label, the rest evenly on the others; the label said stays ahead."""
    if n_labels == 1:
        return np.ones(1, np.float32)
    on_label = max(stated, 1.01 / n_labels)
    probs = np.full(n_labels, (1.0 - on_label) / (n_labels - 1), np.float32)
    probs[label] = on_label
    return probs


def hard(label: int, n_labels: int) -> NDArray[np.float32]:
    """All on one label: nothing was said about the confidence."""
    probs = np.zeros(n_labels, np.float32)
    probs[label] = 1.0
    return probs


def from_votes(answers: Sequence[Answer], n_labels: int) -> Answer:
    """Shares of the samples (Wang et al., 2023), with one more vote spread evenly: three of three is no certainty.

    Abstains, with the most frequent reason, unless more than half of the samples named a label.
    """
    usage = sum((answer.usage for answer in answers), Usage())
    labels = [int(np.argmax(answer.probs)) for answer in answers if answer.probs is not None]
    if 2 * len(labels) <= len(answers):
        reasons = Counter(answer.abstention for answer in answers if answer.abstention is not None)
        return Answer(None, reasons.most_common(1)[0][0], usage=usage)
    counts = np.bincount(labels, minlength=n_labels) + 1.0 / n_labels
    return Answer((counts / counts.sum()).astype(np.float32), confidence=Confidence.VOTES, usage=usage)


def _tokens_at(tokens: Sequence[TokenProbs], content: str, span: tuple[int, int]) -> tuple[TokenProbs, ...]:
    """The tokens that hold the characters of the span; none when the tokens spell something else."""
    if "".join(token.token for token in tokens) != content:
        return ()
    found, start = [], 0
    for token in tokens:
        end = start + len(token.token)
        if start < span[1] and end > span[0]:
            found.append(token)
        start = end
    return tuple(found)


def _probability(logprob: float) -> float:
    """Of a log-probability; servers send -9999 or NaN for "none", and rounding may exceed 0."""
    return math.exp(min(0.0, logprob)) if not math.isnan(logprob) else 0.0
