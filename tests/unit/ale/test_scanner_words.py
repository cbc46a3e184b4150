"""Words that no text has: the scanner knows them by the vectors of their kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ale.scanner.features import MOST_FEATURES, STEMS, WORDS, features_of
from ale.scanner.learning import MOST_KEPT, learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.texts import Texts
from ale.scanner.words import WordVectors, tokens
from tests.unit.ale.scanning import LABELS
from tests.unit.ale.scanning import WORDS as KINDS

TOPICS = [word for words in KINDS for word in words]
SEEN, UNSEEN = 3, 3  # of the six words of each label


@dataclass(frozen=True)
class Kinds:
    """A lexicon in which words of one kind lie close together; it has no vector of any other word."""

    words: tuple[str, ...] = tuple(TOPICS)

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """One axis per kind, and a little of one's own."""
        found = np.zeros((len(words), len(KINDS) + len(TOPICS)), np.float32)
        for row, word in enumerate(words):
            for kind, of in enumerate(KINDS):
                if word in of:
                    found[row, kind] = 1.0
                    found[row, len(KINDS) + TOPICS.index(word)] = 0.5
        return found


def half(part: slice, n: int = 300, seed: int = 0) -> tuple[list[str], NDArray[np.int64]]:
    """Texts of only some of the words of each label."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, len(LABELS), n)
    return [" ".join(["the", *random.choice(KINDS[target][part], 2), "is"]) for target in targets], targets


def taught(words: WordVectors | None, form: int = STEMS) -> Scanner:
    """By texts of the first half of the words."""
    texts, targets = half(slice(0, SEEN))
    return learn_scanner(
        Texts.of(texts), np.eye(len(LABELS), dtype=np.float32)[targets], form=form, words=words
    )


def features(text: str, family: int = 0) -> list[int]:
    """Those of one family, in the order of the text."""
    data = Texts.of([text]).data
    out = np.empty(MOST_FEATURES, np.uint64)
    n = features_of(data, 0, len(data), WORDS, out)
    return [int(feature) for feature in out[:n] if int(feature) % 4 == family]


@settings(deadline=None)  # the first call compiles
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_token_is_what_the_scanner_takes_for_one(text: str) -> None:
    """Any text, cut here and there: the same words in the same order."""
    alone = [features(token) for token in tokens(text)]
    assert all(len(one) == 1 for one in alone)
    assert [one[0] for one in alone] == features(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't PAY 3.50€!", ["don", "'", "t", "pay", "3", ".", "50", "€", "!"]),
        ("ÄRGER\u00a0mit Étienne", ["ärger", "mit", "étienne"]),
        ("退款 Привет", ["退", "款", "Привет"]),
    ],
)
def test_tokens_are_words_and_marks(text: str, expected: list[str]) -> None:
    """Small letters where the scanner has them; Chinese character by character."""
    assert tokens(text) == expected


def test_words_that_no_text_has_get_the_label_of_their_kind() -> None:
    """With vectors nearly all, without them no better than chance."""
    vectors = WordVectors.of(half(slice(0, SEEN))[0], Kinds())
    texts, targets = half(slice(-UNSEEN, None), seed=1)
    assert (taught(vectors).predict(Texts.of(texts)).best == targets).mean() > 0.95
    assert (taught(None).predict(Texts.of(texts)).best == targets).mean() < 0.6


def test_what_the_texts_say_of_a_word_weighs_more_than_its_vector() -> None:
    """A word that stands in texts of another label is what they say it is; the others of its kind are not."""
    texts, targets = half(slice(0, SEEN))
    texts, targets = [*texts, *["the happy is"] * 60], np.concatenate([targets, np.zeros(60, np.int64)])
    beliefs = np.eye(len(LABELS), dtype=np.float32)[targets]
    vectors = WordVectors.of(texts, Kinds())
    scanner = learn_scanner(Texts.of(texts), beliefs, form=WORDS, words=vectors)
    assert LABELS[scanner.predict(Texts.of(["happy"])).best[0]] == "billing"
    assert LABELS[scanner.predict(Texts.of(["best wonderful"])).best[0]] == "praise"


def test_the_looser_the_more_a_vector_says() -> None:
    """A small penalty lets a strange word speak out; a huge one silences it."""
    vectors = WordVectors.of(half(slice(0, SEEN))[0], Kinds())
    texts, targets = half(slice(0, SEEN))
    beliefs = np.eye(len(LABELS), dtype=np.float32)[targets]

    def sure(l2: float) -> float:
        scanner = learn_scanner(Texts.of(texts), beliefs, form=WORDS, words=vectors, l2=l2)
        return float(scanner.predict(Texts.of(["wonderful"])).confidence[0])

    assert sure(0.3) > sure(1.0) > sure(1e6)
    assert sure(1e6) < 0.45


def test_a_full_table_keeps_what_the_texts_have() -> None:
    """Where the texts' own features fill the table, words of the lexicon do not push them out."""
    names = [f"w{number}" for number in range(MOST_KEPT // 2)]
    texts = [" ".join(names[at : at + 64]) for at in range(0, len(names), 64)] * 2
    beliefs = np.eye(2, dtype=np.float32)[np.arange(len(texts)) % 2]
    vectors = WordVectors.of(texts, Kinds())
    with_words = learn_scanner(Texts.of(texts), beliefs, form=STEMS, words=vectors)
    without = learn_scanner(Texts.of(texts), beliefs, form=STEMS)
    assert np.array_equal(with_words.places, without.places)
    assert len(with_words.rows) <= MOST_KEPT + 1


def test_one_word_in_two_spellings_is_one_and_no_word_is_left_out() -> None:
    """Capitals count once, what is several tokens not at all; a feature without a vector has zeros."""

    @dataclass(frozen=True)
    class Odd:
        words: tuple[str, ...] = ("Refund", "refund", "e-mail", "", " ", "parcel")

        def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
            return np.eye(len(words), 4, dtype=np.float32) + 1

    vectors = WordVectors.of([], Odd())
    assert vectors.features.tolist() == sorted([*features("refund"), *features("parcel")])
    assert np.allclose(np.linalg.norm(vectors.rows, axis=1), 1)
    asked = np.array([*features("parcel"), *features("unheard"), 2**64 - 1], np.uint64)
    assert vectors.of_features(asked).any(axis=1).tolist() == [True, False, False]
