"""Several teachers together are at least as good as the best of them, and the dear one is seldom asked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ale.teachers.fuse import ask_next, fuse
from ale.teachers.recorded import RecordedTeacher, hard
from ale.text import to_example
from ale.trust import words
from ale.types import Example, LabelSpace, Probs


def simulated(
    truth: NDArray[np.int64], right: list[float], seed: int, *, silent: float = 0.0
) -> NDArray[np.int64]:
    """Words of a simulated teacher that is right on label k at rate `right[k]`, else says the next label."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(truth)) < np.array(right)[truth], truth, (truth + 1) % len(right))
    return np.where(rng.random(len(truth)) < silent, -1, said)


def share_right(probs: Probs, truth: NDArray[np.int64]) -> float:
    """Silence counts as wrong."""
    return float((words(probs) == truth).mean())


def truths(n: int = 2_000, labels: int = 3) -> NDArray[np.int64]:
    """Gold labels by lot."""
    return np.random.default_rng(7).integers(0, labels, n)


def test_one_round_equals_a_hand_computation() -> None:
    """Two teachers of assumed 0.8 and 0.6 and nothing to learn from but one text: Bayes, with the prior tables."""
    first, second = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    settled = fuse([first, second], np.array([0]), assumed=[0.8, 0.6])
    # 10 pseudo-counts and one seen answer per table: (8 + 1) / 11 right for the first, 6 / 11 for the second.
    assert settled.reliability[0, 0] == pytest.approx([9 / 11, 2 / 11])
    assert settled.reliability[1, 0] == pytest.approx([6 / 11, 5 / 11])
    assert settled.reliability[1, 1] == pytest.approx([0.4, 0.6])
    assert settled.probs.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("labelled", [50, 100, 200])
@pytest.mark.parametrize("seed", range(5))
def test_fused_is_no_worse_than_the_better_teacher(labelled: int, seed: int) -> None:
    """Two simulated teachers with errors on different labels: within half a point of the better one, or above."""
    truth = truths()
    good = hard(simulated(truth, [0.95, 0.9, 0.7], 2 * seed, silent=0.05), 3)
    weak = hard(simulated(truth, [0.6, 0.65, 0.95], 2 * seed + 1), 3)
    human = np.full(len(truth), -1)
    human[:labelled] = truth[:labelled]
    fused = fuse([good, weak], human)
    rest = slice(labelled, None)
    better = max(share_right(good[rest], truth[rest]), share_right(weak[rest], truth[rest]))
    assert share_right(fused.probs[rest], truth[rest]) >= better - 0.005
    assert np.isfinite(fused.probs).all()


def test_three_teachers_beat_each_of_them() -> None:
    """Without a single human label, the tables come out of the contradictions alone."""
    truth = truths()
    three = [hard(simulated(truth, [0.8, 0.75, 0.7], seed), 3) for seed in range(3)]
    fused = fuse(three)
    assert share_right(fused.probs, truth) > max(share_right(one, truth) for one in three) + 0.05
    assert fused.accuracy() == pytest.approx([0.75, 0.75, 0.75], abs=0.05)


def test_human_labels_show_which_teacher_errs() -> None:
    """A teacher that swaps two labels is believed at first, and seen through after thirty human labels."""
    truth = truths(400, 2)
    honest, liar = hard(truth, 2), hard(1 - truth, 2)
    human = np.full(400, -1)
    human[:30] = truth[:30]
    fused = fuse([liar, honest], human)
    assert share_right(fused.probs, truth) > 0.99
    first, second = fused.accuracy()
    assert first < 0.2
    assert second > 0.9


def test_silence_says_nothing() -> None:
    """Where one is silent the other is followed; where all are silent the fused answer is an abstention."""
    one, other = hard(np.array([0, -1, -1]), 2), hard(np.array([0, 1, -1]), 2)
    fused = fuse([one, other])
    assert words(fused.probs).tolist() == [0, 1, -1]
    assert fuse([one, other], np.array([-1, -1, 1])).probs[2].tolist() == [0.0, 1.0]


def test_soft_answers_weigh_by_their_certainty() -> None:
    """Of two contradicting teachers the certain one is followed."""
    certain, doubtful = np.array([[0.99, 0.01]], np.float32), np.array([[0.45, 0.55]], np.float32)
    assert words(fuse([certain, doubtful]).probs).tolist() == [0]
    assert words(fuse([doubtful, 1 - certain]).probs).tolist() == [1]


def test_one_label_or_no_text_is_no_crash() -> None:
    """The smallest inputs come back in their shape."""
    assert fuse([np.ones((2, 1), np.float32)]).probs.tolist() == [[1.0], [1.0]]
    empty = np.zeros((0, 3), np.float32)
    assert fuse([empty, empty]).probs.shape == (0, 3)
    assert ask_next([empty, empty]).tolist() == []
    assert ask_next([np.ones((2, 1), np.float32)]).tolist() == []


def test_the_dear_teacher_is_asked_on_disagreements_and_silence_only() -> None:
    """Most doubtful first, silence last, and never what a person has labelled."""
    agreeing = np.tile(np.array([[0.9, 0.1], [0.1, 0.9]], np.float32), (20, 1))
    silent = [np.nan, np.nan]
    one = np.array([silent, [0.6, 0.4], [0.9, 0.1], silent, [0.9, 0.1]], np.float32)
    other = np.array([silent, [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]], np.float32)
    human = np.full(45, -1)
    human[44] = 0
    cheap = [np.concatenate([agreeing, rows]) for rows in (one, other)]
    assert ask_next(cheap, human).tolist() == [42, 41, 40]


def test_recorded_teachers_with_a_dear_one_asked_on_disagreements() -> None:
    """Two cheap recorded teachers and a dear one that hears a third of the texts: better than the cheap ones."""
    truth = truths(1_000)
    space = LabelSpace(("a", "b", "c"))
    examples = [made for made in (to_example(i, f"text {i}") for i in range(1_000)) if made is not None]

    def recorded(said: NDArray[np.int64]) -> RecordedTeacher:
        texts = {e.text_hash: space.labels[s] if s >= 0 else "" for e, s in zip(examples, said, strict=True)}
        return RecordedTeacher("column", texts)

    cheap = [
        recorded(simulated(truth, [0.8, 0.8, 0.8], seed, silent=0.02)).predict_proba(examples, space)
        for seed in (1, 2)
    ]
    rows = ask_next(cheap)
    said = [words(one) for one in cheap]
    agreed = (said[0] == said[1]) & (said[0] >= 0)
    assert not agreed[rows].any()
    assert 0.2 < len(rows) / 1_000 < 0.45
    dear = np.full((1_000, 3), np.nan, np.float32)
    asked: list[Example] = [examples[row] for row in rows]
    dear[rows] = recorded(simulated(truth, [0.95, 0.95, 0.95], 3)).predict_proba(asked, space)
    fused = fuse([*cheap, dear], assumed=[0.8, 0.8, 0.9])
    assert share_right(fused.probs, truth) > max(share_right(one, truth) for one in cheap) + 0.05
