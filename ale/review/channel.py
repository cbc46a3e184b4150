"""The chance that each given label is wrong: opinions about the truth, heard through a noisy channel.

The truth of a row follows from the opinions (student, words, teachers), each raised to a power of its own.
The person then gives that truth, or by the channel another label. Powers and channel are found together, as
those under which the given labels are likeliest. Two things follow that plain self-confidence lacks:

- An opinion that was measured on noisy labels never looks surer than they are. The channel takes the noise
  out again, so that the chances add up to the number of errors.
- Label pairs that are confused as a whole are learnt: one that is mistaken for another often is doubted more.

With two labels the channel is symmetric: there nothing tells uneven noise from a bias of the opinions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ale.calibration import log_softmax
from ale.review.odds import chances

Opinions = NDArray[np.float64]
"""Shape (opinions, rows, labels): logarithms; a row of zeros has no opinion."""

EXPECTED_RATE = 0.05  # of wrong labels, before any was seen
_RATE_ROWS = 40.0  # labels that stand behind it
_PAIR_ROWS = 60.0  # rows of the even channel behind every label; and of each label's own rows this share:
_PAIR_SHARE = 0.5  # natural confusion grows with the data, and is no noise
_PAIR_WEIGHT = 1.5  # in the ranking: a learnt pair rate is shrunk, the order of rows need not be
_POWER_L2, _BIAS_L2 = 2.0, 1.0
_ROUNDS, _STEPS, _STILL = 40, 4, 1e-4
_FIT_ROWS = 10_000  # rows from which powers and channel are learnt; more only cost time
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """What was learnt. `confusion[t, y]`: chance that truth t is given as y. `rates`: per annotator, 1 = as all."""

    powers: NDArray[np.float64]
    bias: NDArray[np.float64]
    confusion: NDArray[np.float64]
    rates: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Per row `wrong`, the chance that the given label is wrong, and `truth`, the chances of all labels.

    `score` in [0, 1] orders the rows, higher = more surely wrong: it follows `wrong`, but trusts learnt pairs more.
    `contradict`, shape (rows, opinions), marks who prefers another label than the given one.
    """

    wrong: NDArray[np.float64]
    truth: NDArray[np.float64]
    score: NDArray[np.float64]
    contradict: NDArray[np.bool_]
    channel: Channel

    @property
    def errors(self) -> float:
        """The expected number of wrong labels, the natural ones of hard texts among them."""
        return float(self.wrong.sum())


def judge(
    opinions: Opinions,
    given: NDArray[np.int64],
    annotators: NDArray[np.int64] | None = None,
    expected: NDArray[np.float64] | None = None,
) -> Judgement:
    """The judgement of every given label. Deterministic; memory is a few times that of `opinions`.

    `annotators[i]` numbers who gave label i, from 0: a careless one's labels are doubted more. `expected` are
    the powers that hold while few labels have spoken, by default in equal parts.
    """
    rows = np.unique(np.linspace(0, len(given) - 1, min(len(given), _FIT_ROWS)).astype(np.int64))
    who = np.zeros(len(given), np.int64) if annotators is None else annotators
    powers = np.full(len(opinions), 1.0 / max(1, len(opinions))) if expected is None else expected
    people = int(who.max(initial=0)) + 1
    channel = _fit(np.ascontiguousarray(opinions[:, rows]), given[rows], who[rows], people, powers)
    believed = _believed(opinions, channel.powers, channel.bias)
    heard = believed + _log_likelihood(channel, given, who)
    truth = np.exp(log_softmax(heard))
    wrong = 1.0 - truth[np.arange(len(given)), given]
    return Judgement(
        np.clip(wrong, 0.0, 1.0),
        truth,
        _score(believed, channel, given, who),
        np.stack([_contradicts(opinion, given) for opinion in opinions], axis=1),
        channel,
    )


def _contradicts(opinion: NDArray[np.float64], given: NDArray[np.int64]) -> NDArray[np.bool_]:
    """False for the given label, and for a row without an opinion."""
    highest = opinion.max(axis=1)
    return np.asarray(highest > opinion[np.arange(len(given)), given] + 1e-9, bool)


def _fit(
    opinions: Opinions,
    given: NDArray[np.int64],
    who: NDArray[np.int64],
    annotators: int,
    expected: NDArray[np.float64],
) -> Channel:
    """Powers and channel in turn: expectation maximisation."""
    _, n, labels = opinions.shape
    rate = EXPECTED_RATE
    channel = Channel(expected, np.zeros(labels), _even(rate, labels), np.ones(annotators))
    one_hot = np.eye(labels)[given]
    many = np.bincount(who, minlength=annotators)
    for turn in range(_ROUNDS):
        likelihood = np.exp(_log_likelihood(channel, given, who))
        powers, bias = _step(opinions, likelihood, channel, expected)
        truth = np.exp(log_softmax(_believed(opinions, powers, bias))) * likelihood
        truth /= np.maximum(truth.sum(axis=1, keepdims=True), _LEAST)
        wrong = 1.0 - truth[np.arange(n), given]
        rate = (float(wrong.sum()) + EXPECTED_RATE * _RATE_ROWS) / (n + _RATE_ROWS)
        confusion = _confusion(truth.T @ one_hot, rate)
        rates = (np.bincount(who, wrong, annotators) / rate + _RATE_ROWS) / (many + _RATE_ROWS)
        moved = float(np.abs(confusion - channel.confusion).max(initial=0.0))
        channel = Channel(powers, bias, confusion, rates)
        if moved < _STILL and turn > 5:
            break
    return channel


def _step(
    opinions: Opinions,
    likelihood: NDArray[np.float64],
    channel: Channel,
    expected: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A few steps towards the powers and the bias under which the given labels are likeliest."""
    count = len(opinions)
    centre = np.concatenate([expected, np.zeros(len(channel.bias))])
    penalty = np.concatenate([np.full(count, _POWER_L2), np.full(len(channel.bias), _BIAS_L2)])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        believed = np.exp(log_softmax(_believed(opinions, flat[:count], flat[count:])))
        heard = believed * likelihood
        total = np.maximum(heard.sum(axis=1), _LEAST)
        pull = heard / total[:, None] - believed
        gradient = np.concatenate([np.tensordot(opinions, pull, axes=([1, 2], [0, 1])), pull.sum(axis=0)])
        away = flat - centre
        return float(-np.log(total).sum() + (penalty * away**2).sum()), 2 * penalty * away - gradient

    found = minimize(
        loss,
        np.concatenate([channel.powers, channel.bias]),
        jac=True,
        bounds=[(0.0, None)] * count + [(None, None)] * len(channel.bias),
        method="L-BFGS-B",
        options={"maxiter": _STEPS},
    ).x
    return found[:count], found[count:]


def _believed(
    opinions: Opinions, powers: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.tensordot(powers, opinions, axes=1) + bias, np.float64)


def _even(rate: float, labels: int) -> NDArray[np.float64]:
    """The channel in which every other label is equally likely."""
    out = np.full((labels, labels), rate / max(1, labels - 1))
    np.fill_diagonal(out, 1.0 - rate)
    return out


def _confusion(counts: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """The channel behind these expected counts, shrunk to the even one."""
    labels = len(counts)
    if labels <= 2:
        return _even(rate, labels)
    seen = counts.sum(axis=1, keepdims=True)
    behind = _PAIR_ROWS + _PAIR_SHARE * seen
    return np.asarray((counts + behind * _even(rate, labels)) / (seen + behind))


def _log_likelihood(
    channel: Channel, given: NDArray[np.int64], who: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log chance of each given label under every truth, shape (rows, labels)."""
    diagonal = np.diag(channel.confusion)
    off = channel.confusion[:, given].T * channel.rates[who][:, None]
    own = 1.0 - np.minimum((1.0 - diagonal[given]) * channel.rates[who], 0.9)
    off[np.arange(len(given)), given] = own
    return np.asarray(np.log(np.maximum(off, _LEAST)))


def _score(
    believed: NDArray[np.float64], channel: Channel, given: NDArray[np.int64], who: NDArray[np.int64]
) -> NDArray[np.float64]:
    """As the chance of a wrong label, with the pair rates weighing more against the mean rate."""
    rows = np.arange(len(given))
    labels = believed.shape[1]
    rate = float((1.0 - np.diag(channel.confusion)).mean())
    mean = max(rate / max(1, labels - 1), _LEAST)
    pairs = np.log(np.maximum(channel.confusion, _LEAST) / mean)
    others = believed + _PAIR_WEIGHT * pairs[:, given].T
    others[rows, given] = -np.inf
    highest = others.max(axis=1)
    odds = highest + np.log(np.exp(others - highest[:, None]).sum(axis=1)) - believed[rows, given]
    odds += np.log(mean / max(1.0 - rate, _LEAST)) + np.log(channel.rates[who])
    return chances(odds)
