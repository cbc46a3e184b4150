"""What the embedded encoder knows of single words, and that another way to read the same weights knows the same."""

from __future__ import annotations

import numpy as np
import pytest

from ale.errors import CheckpointError
from ale.io.lexicon import TokenLexicon, read_lexicon
from ale.io.minilm import embedded_folder


@pytest.fixture(scope="module")
def embedded() -> TokenLexicon:
    """The real one."""
    return read_lexicon()


def test_whole_words_only(embedded: TokenLexicon) -> None:
    """Some 23,000: no ends of words, nothing that is for the model's own use, no word twice."""
    assert 20_000 < len(embedded.words) < 30_000
    assert {"payment", "parcel", "the", "?"} <= set(embedded.words)
    assert not [word for word in embedded.words if word.startswith(("##", "[unused", "[cls"))]
    assert len(set(embedded.words)) == len(embedded.words)


def test_words_of_one_meaning_lie_close(embedded: TokenLexicon) -> None:
    """By the cosine of their vectors; a word in pieces has one as well, a sign that the tokenizer lacks has none."""
    asked = ["refund", "reimbursement", "parcel", "package", "🙂"]
    rows = embedded.vectors(asked)
    rows -= embedded.vectors(embedded.words[::50]).mean(axis=0) * rows.any(axis=1, keepdims=True)
    cosine = rows @ rows.T / np.maximum(np.outer(*[np.linalg.norm(rows, axis=1)] * 2), 1e-9)
    assert cosine[0, 1] > max(cosine[0, 2], cosine[0, 3])
    assert cosine[2, 3] > max(cosine[2, 0], cosine[2, 1])
    assert not rows[-1].any()


def test_transformers_reads_the_same(embedded: TokenLexicon) -> None:
    """The same words and the same vectors by the path that any other encoder takes."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    other = read_lexicon(str(embedded_folder()))
    assert other.words == embedded.words
    some = [*embedded.words[::40], "reimbursement", "🙂"]
    assert np.allclose(other.vectors(some), embedded.vectors(some), atol=1e-6)


def test_an_encoder_that_is_not_there() -> None:
    """The encoder's own error, which names it."""
    pytest.importorskip("transformers")
    with pytest.raises(CheckpointError, match="no-such-folder"):
        read_lexicon("./no-such-folder")
