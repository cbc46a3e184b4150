"""Words that no text has: the scanner knows them by the vectors of their kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ale.distilling import distil
from ale.fitting import FitInput, fit_model
from ale.scanner.features import MOST_FEATURES, STEMS, WORDS, features_of
from ale.scanner.learning import MOST_KEPT, learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.table import all_rows
from ale.scanner.texts import Texts
from ale.scanner.words import WordVectors, tokens
from ale.students import LinearStudent
from tests.unit.ale.scanning import LABELS, WordEncoder
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


def known(scanner: Scanner, words: Sequence[str]) -> int:
    """How many of them have a row."""
    return int(
        (all_rows(scanner.places, np.array([features(word)[0] for word in words], np.uint64)) > 0).sum()
    )


@dataclass(frozen=True)
class Many:
    """A lexicon of more words than a table has room for, and of those of the texts."""

    words: tuple[str, ...] = tuple(f"v{number}" for number in range(MOST_KEPT))

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Anything that is not zero."""
        return np.random.default_rng(0).normal(size=(len(words), 8)).astype(np.float32)


@pytest.mark.parametrize("times", [1, 2])
def test_a_full_table_keeps_what_the_texts_have(times: int) -> None:
    """Words of the texts, seen once or twice, come before those of the lexicon, and of these the frequent first."""
    names = [f"w{number}" for number in range(MOST_KEPT // 4)]
    texts = [" ".join(names[at : at + 64]) for at in range(0, len(names), 64)] * times
    beliefs = np.eye(2, dtype=np.float32)[np.arange(len(texts)) % 2]
    scanner = learn_scanner(Texts.of(texts), beliefs, form=WORDS, words=WordVectors.of(texts, Many()))
    assert len(scanner.rows) <= MOST_KEPT + 1
    assert known(scanner, names) > 0.95 * len(names)
    half = len(Many.words) // 4
    assert known(scanner, Many.words[:half]) > 0.95 * half
    assert known(scanner, Many.words[-half:]) < 0.05 * half


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


@dataclass(frozen=True)
class Spelled:
    """A lexicon that knows no word as a whole, and of every word a vector that tells whether it has an x."""

    words: tuple[str, ...] = ()

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Two directions."""
        return np.array([[1.0, 0.0] if "x" in word else [0.0, 1.0] for word in words], np.float32).reshape(
            -1, 2
        )


def test_what_is_measured_is_true_of_words_in_pieces() -> None:
    """A word that is known by its text alone is not known where that text is held out: nothing better than chance."""
    targets = np.arange(200) % 2
    texts = [f"q{row}{'x' if target else 'y'}" for row, target in enumerate(targets)]
    beliefs = np.eye(2, dtype=np.float32)[targets]
    folds = np.arange(200) // 40
    found = distil(texts, beliefs, np.arange(200), folds, lexicon=Spelled())
    assert (found.logits.argmax(axis=1) == targets).mean() < 0.65


@pytest.mark.parametrize("lexicon", [None, Kinds()])
def test_a_model_knows_the_words_of_its_lexicon(lexicon: Kinds | None) -> None:
    """From labelled texts to answers: unseen words of a kind, by the whole way that `ale fit` takes."""
    texts, targets = half(slice(0, SEEN))
    encoder = WordEncoder()
    given = FitInput(
        texts=texts,
        raw=encoder.encode(texts),
        targets=targets,
        groups=np.arange(len(texts)),
        labels=LABELS,
        student=LinearStudent,
        lexicon=lexicon,
    )
    fitted = fit_model(given, encoder)
    more, of = half(slice(-UNSEEN, None), seed=1)
    right = np.mean([LABELS.index(str(said.label)) for said in fitted.model.predict(more)] == of)
    assert right > 0.95 if lexicon else right < 0.6
