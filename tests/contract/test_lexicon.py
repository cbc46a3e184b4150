"""What the embedded encoder knows of single words, and that another way to read the same weights knows the same."""

from __future__ import annotations

import numpy as np
import pytest

from ale.errors import CheckpointError
from ale.io.encoder import resolve_lexicon
from ale.io.lexicon import TokenLexicon
from ale.io.minilm import embedded_folder, read_embedded_lexicon


@pytest.fixture(scope="module")
def embedded() -> TokenLexicon:
    """The real one."""
    return read_embedded_lexicon()


def test_whole_words_only(embedded: TokenLexicon) -> None:
    """Some 23,000: no ends of words, nothing reserved, no word twice; the most frequent ones first."""
    assert 20_000 < len(embedded.words) < 30_000
    assert {"payment", "parcel", "the", "?"} <= set(embedded.words)
    assert not [word for word in embedded.words if word.startswith(("##", "[unused"))]
    assert len(set(embedded.words)) == len(embedded.words)
    assert embedded.words.index("the") < embedded.words.index("payment") < embedded.words.index("parcel")


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
    other = resolve_lexicon(str(embedded_folder()))
    assert other is not None
    assert other.words == embedded.words
    assert other.vectors(["the"]).any()
    assert other.vectors([]).shape == (0, 384)
    some = [*embedded.words[::40], "reimbursement", "🙂"]
    assert np.allclose(other.vectors(some), embedded.vectors(some), atol=1e-6)


def test_an_encoder_that_is_not_there() -> None:
    """The encoder's own error, which names it."""
    pytest.importorskip("transformers")
    with pytest.raises(CheckpointError, match="no-such-folder"):
        resolve_lexicon("./no-such-folder")


def lexicon_of(tokens: list[str], pieces: dict[str, list[int]], rows: int | None = None) -> TokenLexicon:
    """One whose tokenizer knows just these texts; token 0 is the unknown one."""
    table = np.eye(len(tokens), dtype=np.float32)[:rows]
    return TokenLexicon(tokens, lambda texts: [pieces.get(text, [0]) for text in texts], 0, table)


def test_a_gap_that_is_a_piece_of_its_own_is_no_part_of_a_word() -> None:
    """As SentencePiece writes Chinese: the character alone is the word, and a sign that it lacks has no vector."""
    found = lexicon_of(["<unk>", "▁", "款"], {" ": [1], " 款": [1, 2], " 🙂": [1, 0]})
    assert list(found.words) == ["款"]
    assert found.vectors(["款", "🙂"]).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_the_spelling_with_the_fewest_pieces_is_taken() -> None:
    """A cased vocabulary that has a noun only with its capital."""
    found = lexicon_of(["<unk>", "Pa", "ket", "Paket"], {" ": [], " paket": [1, 2], " Paket": [3]})
    assert found.vectors(["paket"]).tolist() == [[0, 0, 0, 1]]
    assert "Paket" in found.words


def test_a_token_without_an_embedding_is_unknown() -> None:
    """Some tokenizers have more tokens than their model has rows."""
    found = lexicon_of(["<unk>", "a", "b"], {" ": [], " a": [1], " b": [2]}, rows=2)
    assert list(found.words) == ["a"]
    assert not found.vectors(["b"]).any()
