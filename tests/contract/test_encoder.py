"""The embedded encoder's rows are those of torch and transformers, whatever the text and whatever is beside it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ale.errors import CheckpointError
from ale.io.encoder import resolve_for
from ale.io.hugging_face import HuggingFaceEncoder
from ale.io.minilm import MAX_TOKENS, MiniLMEncoder, embedded_folder
from ale.io.runtime import Runtime, quickest
from ale.types import Embeddings
from ml_backend.demo import sample

PAYLOADS = Path(__file__).parents[1] / "payloads"

ODD = [
    "",
    " ",
    "\n\t\r",
    "x",
    "…",
    "🙂",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇯🇵",
    "Straße, ÇA VA? İstanbul, ŒUVRE, naïve café, naïve café",
    "日本語のテキストです。句読点、カタカナ。",
    "我的订单还没到，请退款",
    "한국어 문장입니다",
    "أين طلبي؟ لم يصل بعد",
    "שלום, איפה ההזמנה שלי?",
    "Где мой заказ? Ещё не пришёл!",
    "मेरा ऑर्डर कहाँ है",
    "สินค้ายังไม่มาถึง",
    "a\x00b\x01c\x1bd\x7fe\u200bf\ufeffg\u202eh",
    "\ufffd\ufffd \ue000 \U000f0000 \U0010ffff",
    "[CLS] [SEP] [MASK] [PAD] [UNK] ##ing",
    "don't; e-mail@example.com https://example.com/a?b=c#d 1,234.56 € 50% #tag @name",
    "word" * 100,
    "0" * 9_000,
    "lamp " * 5_000,
    "灯" * 3_000,
    "🙂" * 700,
    "line\n" * 300,
]
"""Nothing, blanks, emoji, other scripts, control characters, what looks like the model's own marks, and very long."""


def texts() -> list[str]:
    """Messages of the sample project, alone and run together up to the limit; JSON; and the odd ones."""
    messages = [message.text for message in (*sample.held_out(), *sample.pool()[:160])]
    draw = random.Random(7)
    joined = [" ".join(draw.sample(messages, count)) for count in (2, 3, 4, 6, 9, 14) for _ in range(8)]
    recorded = [path.read_text(encoding="utf-8") for path in sorted(PAYLOADS.rglob("*.json"))]
    return [*messages, *joined, *recorded, *ODD]


@pytest.fixture(scope="module")
def embedded() -> MiniLMEncoder:
    """The real one."""
    return MiniLMEncoder()


@pytest.fixture(scope="module")
def reference() -> HuggingFaceEncoder:
    """The same weights through torch and transformers."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return HuggingFaceEncoder(str(embedded_folder()))


@pytest.fixture(scope="module")
def rows(embedded: MiniLMEncoder) -> Embeddings:
    """All texts at once."""
    return embedded.encode(texts())


def test_rows_are_those_of_torch(rows: Embeddings, reference: HuggingFaceEncoder) -> None:
    """Each half of each row: nearly the same direction, and hardly a number differs."""
    expected = reference.encode(texts())
    assert len(rows) > 400
    assert rows.shape == expected.shape == (len(texts()), reference.dimensions)
    assert np.abs(rows - expected).max() < 1e-4
    for half in (slice(0, 384), slice(384, 768)):
        assert (rows[:, half] * expected[:, half]).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("runtime", [Runtime.OPENVINO, Runtime.TORCH])
def test_bfloat16_is_near_enough(rows: Embeddings, runtime: Runtime) -> None:
    """Each half of each row has nearly the direction that float32 gives it, and is of unit length."""
    found = resolve_for(runtime).encode(texts())
    assert found.dtype == np.float32
    for half in (slice(0, 384), slice(384, 768)):
        assert (rows[:, half] * found[:, half]).sum(axis=1).min() >= 0.999
        assert np.allclose(np.linalg.norm(found[:, half], axis=1), 1, atol=1e-4)


def test_openvino_tells_nobody(tmp_path: Path) -> None:
    """No identifier in the home folder, and its reporting package is not even read."""
    code = (
        "import sys\nfrom ale.io.encoder import resolve_for\nfrom ale.io.runtime import Runtime\n"
        "print(resolve_for(Runtime.OPENVINO).encode(['a text']).shape)\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["(1, 768)", "[]"]
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ({"avx512bf16": True}, Runtime.OPENVINO),
        ({"amx-bf16": True, "avx512bf16": True}, Runtime.TORCH),
        ({"avx512f": True, "avx512bf16": False}, Runtime.FLOAT32),
        ({}, Runtime.FLOAT32),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(features: dict[str, bool], wanted: Runtime) -> None:
    """Elsewhere it would be the slower one."""
    assert quickest(features) is wanted


def test_tokens_are_those_of_transformers(embedded: MiniLMEncoder, reference: HuggingFaceEncoder) -> None:
    """Number for number, cut at the same place."""
    expected = reference._load().tokenizer(texts(), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    got = [text.ids for text in embedded._load().tokenizer.encode_batch_fast(texts())]
    assert got == expected
    assert max(map(len, got)) == MAX_TOKENS


def test_halves_are_unit_vectors(rows: Embeddings) -> None:
    """Also for a text of which nothing is left but the model's own marks."""
    for half in (slice(0, 384), slice(384, 768)):
        assert np.allclose(np.linalg.norm(rows[:, half], axis=1), 1, atol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(embedded: MiniLMEncoder, rows: Embeddings) -> None:
    """Alone, in another order, and beside texts that force much padding."""
    given = texts()
    some = [*range(0, len(given), 9), *range(len(given) - len(ODD), len(given))]
    for row in some:
        assert np.abs(embedded.encode([given[row]])[0] - rows[row]).max() < 1e-5
    order = np.random.default_rng(3).permutation(len(given))
    assert np.abs(embedded.encode([given[row] for row in order]) - rows[order]).max() < 1e-5
    short_first = [given[row] for row in order[:5]] + ["lamp " * 400]
    tokens = [text.ids for text in embedded._load().tokenizer.encode_batch_fast(short_first)]
    assert np.abs(embedded._forward(tokens)[:5] - rows[order[:5]]).max() < 1e-5


def test_progress_counts_every_text(embedded: MiniLMEncoder) -> None:
    """What it heard adds up."""
    heard: list[int] = []
    embedded.encode(["a", "b c", "d"], progress=heard.append)
    assert sum(heard) == 3


def test_the_stored_name_stays() -> None:
    """Vectors that were stored by an earlier version are the same vectors: they are not computed again."""
    assert (MiniLMEncoder.name, MiniLMEncoder.dimensions) == ("minilm-l6-6+3", 768)


@pytest.mark.parametrize("damaged", ["model.safetensors", "tokenizer.json"])
def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    """A package whose weights or tokenizer are missing or others says which file, and what to do."""
    real = embedded_folder()
    package = tmp_path / real.parent.name
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in {"model.safetensors", "tokenizer.json"} - {damaged}:
        (package / "model" / name).symlink_to(real / name)
    with pytest.raises(CheckpointError, match=f"no {damaged} .* reinstall"):
        embedded_folder()
    (package / "model" / damaged).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match=rf"{damaged} is not that .* reinstall"):
        MiniLMEncoder().encode(["x"])


def test_files_may_be_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Embeddings) -> None:
    """Some package managers link into site-packages; the rows are the same."""
    real = embedded_folder()
    package = tmp_path / real.parent.name
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("model.safetensors", "tokenizer.json"):
        (package / "model" / name).symlink_to(real / name)
    assert embedded_folder().is_relative_to(tmp_path)
    assert np.abs(MiniLMEncoder().encode(texts()[:2]) - rows[:2]).max() < 1e-5
