"""The scanner: what it sees in bytes, that it learns, and that it is the same however it is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ale.errors import CheckpointError
from ale.scanner.features import MOST_BYTES, MOST_FEATURES, STEMS, WORDS, features_of
from ale.scanner.learning import learn_scanner
from ale.scanner.scanner import Scanner
from ale.scanner.table import all_rows, build_table
from ale.scanner.texts import BAD_ROWS, BadRow, Texts
from ale.scanner.utf8 import is_utf8
from tests.unit.ale.scanning import LABELS, make_texts


def seen(text: str, form: int = WORDS) -> list[int]:
    """The features of a text."""
    out = np.empty(MOST_FEATURES, np.uint64)
    texts = Texts.of([text])
    n = features_of(texts.data, 0, len(texts.data), form, out)
    return [int(feature) for feature in out[:n]]


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    """One that was taught 600 texts."""
    texts, targets = make_texts(600)
    return learn_scanner(Texts.of(texts), np.eye(len(LABELS), dtype=np.float32)[targets], form=WORDS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello World", "hello   world\n"),
        ("ÄRGER mit Étienne", "Ärger mit étienne"),
        ("a\u00a0b", "a b"),
    ],
)
def test_case_and_gaps_make_no_difference(one: str, other: str) -> None:
    """Capital letters, also those with an accent, and any white space."""
    assert seen(one) == seen(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("good", "goods"), ("not good", "good not"), ("good!", "good"), ("a×b", "a÷b"), ("日本", "本日")],
)
def test_other_texts_have_other_features(one: str, other: str) -> None:
    """Words, their order, marks, symbols; Chinese and Japanese character by character."""
    assert seen(one) != seen(other)


def test_a_character_without_gaps_is_a_token() -> None:
    """A text in Chinese shares features with another that has the same characters."""
    assert set(seen("我要退款")) & set(seen("怎么退款"))
    assert not set(seen("abcd")) & set(seen("xbcd"))


def test_stems_are_seen_beside_words() -> None:
    """Words with one beginning share a feature in one form and not in the other."""
    assert not set(seen("x payment", WORDS)[1:]) & set(seen("y payments", WORDS))
    assert set(seen("x payment", STEMS)) & set(seen("y payments", STEMS))


def test_no_text_has_more_features_than_there_is_room_for() -> None:
    """The worst ones: only marks, only short words; what is behind the limit is not read."""
    for text in ("!" * 3 * MOST_BYTES, "abcd " * MOST_BYTES, "abcdef!" * MOST_BYTES):
        assert len(seen(text, STEMS)) <= MOST_FEATURES
    assert seen("a " * MOST_BYTES + "b") == seen("a " * MOST_BYTES + "c")


@settings(deadline=None)  # the first call compiles
@given(st.binary(max_size=24))
def test_utf8_is_what_python_says_it_is(data: bytes) -> None:
    """Our reader and Python's agree on any bytes."""
    assert is_utf8(np.frombuffer(b"\xff" + data, np.uint8), 1, len(data) + 1) == _decodes(data)


@pytest.mark.parametrize("data", [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"ok \x80"])
def test_broken_utf8_is_found(data: bytes) -> None:
    """Overlong forms, surrogates, beyond the last character, cut off."""
    assert not is_utf8(np.frombuffer(data, np.uint8), 0, len(data))


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_it_learns_what_it_is_told(scanner: Scanner) -> None:
    """New texts of the same kind get their label, also among words that it has never seen."""
    texts, targets = make_texts(400, seed=1, noise=0.0)
    strange = [f"{text} zzq{row} xxv{row}" for row, text in enumerate(texts)]
    assert (scanner.predict(Texts.of(texts)).best == targets).mean() > 0.97
    assert (scanner.predict(Texts.of(strange)).best == targets).mean() > 0.95


def test_an_unknown_word_has_no_weights() -> None:
    """Of many features that are in the table and many that are not, only the former find a row."""
    random = np.random.default_rng(0)
    features = random.integers(0, 2**63, 40_000, np.uint64)
    places, kept = build_table(features[:20_000])
    assert kept.mean() > 0.98
    rows = all_rows(places, features)
    assert (rows[:20_000] > 0).mean() > 0.98
    assert (rows[20_000:] > 0).mean() < 0.001
    assert len(np.unique(rows[:20_000][kept])) == kept.sum()


def test_bad_rows_have_a_reason_and_no_label(scanner: Scanner) -> None:
    """Null, white space, broken UTF-8; the rows around them are labelled."""
    good = Texts.of(["the invoice", None, " \n ", "x", "great"])
    data = good.data.copy()
    data[good.offsets[3]] = 0xFF
    found = scanner.predict(Texts(data, good.offsets, good.known))
    assert [str(BAD_ROWS[n - 1]) if n else "" for n in found.bad] == [
        "", BadRow.NULL, BadRow.NO_TEXT, BadRow.BROKEN_UTF8, "",
    ]  # fmt: skip
    assert (found.best >= 0).tolist() == [True, False, False, False, True]
    assert not found.confidence[1:4].any()


def test_batches_and_threads_make_no_difference(scanner: Scanner) -> None:
    """One text at a time, all at once, and from four threads: the same to the last bit."""
    texts, _ = make_texts(200, seed=2)
    whole = scanner.predict(Texts.of(texts))
    single = [scanner.predict(Texts.of([text])) for text in texts]
    assert whole.confidence.tolist() == [float(one.confidence[0]) for one in single]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: scanner.predict(Texts.of(texts)), range(8)):
            assert found.confidence.tolist() == whole.confidence.tolist()


def test_confidence_is_the_probability_of_the_label(scanner: Scanner) -> None:
    """The fused loop's confidence is the softmax of the logits, by the temperature; the label is their best."""
    texts = Texts.of(make_texts(50, seed=3)[0])
    warm = scanner.at(2.0)
    logits = warm.logits(texts)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = warm.predict(texts)
    np.testing.assert_allclose(found.confidence, probs.max(axis=1), rtol=1e-5)
    assert found.best.tolist() == logits.argmax(axis=1).tolist()
    np.testing.assert_allclose(2 * logits, scanner.logits(texts), rtol=1e-4, atol=1e-5)


def test_many_labels_are_told_apart() -> None:
    """Twenty labels: a wider row of weights than the short one."""
    texts = [f"about topic{n % 20} number {n}" for n in range(400)]
    targets = np.eye(20, dtype=np.float32)[np.arange(400) % 20]
    wide = learn_scanner(Texts.of(texts), targets, form=WORDS)
    assert (wide.predict(Texts.of([f"topic{n} again" for n in range(20)])).best == np.arange(20)).mean() == 1


def test_its_state_is_the_whole_scanner(scanner: Scanner) -> None:
    """Saved and read, it says the same; of another format it is refused, and so is a table that does not fit."""
    texts = Texts.of(make_texts(50, seed=4)[0])
    arrays, values = scanner.state()
    assert Scanner.from_state(arrays, values).logits(texts).tolist() == scanner.logits(texts).tolist()
    with pytest.raises(CheckpointError, match="format 99"):
        Scanner.from_state(arrays, {**values, "format": 99})
    with pytest.raises(CheckpointError, match="does not fit"):
        Scanner.from_state({**arrays, "rows": arrays["rows"][:5]}, values)
    for places in (arrays["places"][:0], arrays["places"][:1], arrays["places"][:3]):
        with pytest.raises(CheckpointError, match="does not fit"):
            Scanner.from_state({**arrays, "places": places}, values)
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(CheckpointError, match="does not fit"):
            Scanner.from_state(arrays, {**values, "temperature": temperature})
    for name, other in (
        ("rows", arrays["rows"].ravel()),
        ("rows", arrays["rows"].astype(np.float64)),
        ("bias", arrays["bias"][None]),
        ("places", arrays["places"].astype(np.int64)),
    ):
        with pytest.raises(CheckpointError, match="the scanner's arrays are"):
            Scanner.from_state({**arrays, name: other}, values)
    with pytest.raises(CheckpointError, match="lacks"):
        Scanner.from_state({"bias": arrays["bias"]}, values)
