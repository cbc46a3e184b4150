"""The tuner and the embedded encoder agree on what the encoder is, before and after a tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from safetensors.numpy import save_file

from ale.errors import CheckpointError
from ale.io.batches import batches
from ale.io.bert_graph import bert_graph
from ale.io.minilm import HEADS, LAYERS, MiniLMEncoder, read_embedded
from ale.io.onnx_runtime import make_onnx
from ale.io.tuner import FROZEN, MiniLMTuner, TunedMiniLM
from ale.tuning.bert import Lower, Upper, padded
from ale.tuning.cross import Reader
from ale.tuning.plan import Plan
from ml_backend.demo import sample

TEXTS = [message.text for message in sample.pool()[:40]]


@pytest.fixture(scope="module")
def tuned() -> TunedMiniLM:
    """Two steps on thirty messages."""
    names = sorted({message.label for message in sample.pool()[:40]})
    targets = np.array([names.index(message.label) for message in sample.pool()[:30]])
    tuner = MiniLMTuner(Plan(seconds=1e6, folds=2, least_steps=2, most_steps=2), threads=1)
    return tuner.tune(TEXTS, np.arange(30), targets, labels=len(names))


def test_before_a_tuning_the_rows_are_the_encoders() -> None:
    """The lower and the upper part together are the encoder; a new head says nothing yet."""
    tokenizer, weights = read_embedded(256)
    lower, upper = Lower(weights, FROZEN, HEADS), Upper(weights, range(FROZEN, LAYERS), HEADS, 3).eval()
    texts = [*TEXTS, "", "x", "lamp " * 400]
    tokens = [text.ids for text in tokenizer.encode_batch_fast(texts)]
    with torch.no_grad():
        ids, mask = padded(tokens, "cpu")
        rows = upper(lower(ids, mask), mask)[0].numpy()
    assert np.abs(rows - MiniLMEncoder().encode(texts)[:, :384]).max() < 1e-5
    assert not Reader(lower, upper, batches).logits(tokens).any()


def test_what_it_believes_of_the_pool_it_believes_of_the_texts(tuned: TunedMiniLM) -> None:
    """A text of the pool that comes again, alone or with others, gets the same logits."""
    assert tuned.belief.pool.shape == (40, tuned.belief.held_out.shape[1])
    assert np.abs(tuned.logits(TEXTS) - tuned.belief.pool).max() < 1e-4
    assert np.abs(tuned.logits(TEXTS[3:4]) - tuned.belief.pool[3:4]).max() < 1e-4
    assert tuned.belief.steps == 2


def test_a_tuned_encoder_runs_without_torch(tuned: TunedMiniLM, tmp_path: Path) -> None:
    """Its weights, put over those of the file, give the same logits through ONNX Runtime."""
    tokenizer, weights = read_embedded(128)
    arrays = tuned.arrays()
    head, bias = arrays.pop("head.weight"), arrays.pop("head.bias")
    assert set(arrays) == {
        name
        for name in weights
        if name.startswith(("encoder.layer.3.", "encoder.layer.4.", "encoder.layer.5."))
    }
    assert any(not np.array_equal(arrays[name], weights[name]) for name in arrays)
    path = tmp_path / "model.safetensors"
    save_file({**weights, **arrays}, str(path))
    compute = make_onnx(bert_graph(path, heads=HEADS, layers=LAYERS, pooled=(LAYERS,)), path, 1)
    for text, expected in list(zip(TEXTS, tuned.belief.pool, strict=True))[:5]:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        rows = compute({"ids": ids, "mask": np.ones(ids.shape, np.float32)})
        assert np.abs(rows @ head.T + bias - expected).max() < 1e-4


def test_a_tuned_encoder_is_made_again_from_its_weights(tuned: TunedMiniLM) -> None:
    """The same logits; weights of something else are refused."""
    arrays = tuned.arrays()
    again = MiniLMTuner(threads=1).restored(arrays)
    assert np.abs(again.logits(TEXTS) - tuned.belief.pool).max() < 1e-4
    for broken in ({}, {**arrays, "head.weight": arrays["head.weight"][:, :5]}, {"x": arrays["head.bias"]}):
        with pytest.raises(CheckpointError, match="not the weights of a tuned"):
            MiniLMTuner().restored(broken)
