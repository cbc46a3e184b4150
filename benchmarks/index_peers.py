"""Other fast classifiers beside `ale index`: fastText on two processes, model2vec as it predicts by itself.

Both are left out where they are not installed (`pip install fasttext-numpy2 model2vec`). What is timed is their own
prediction for a list of texts in memory: no file is read or written for them.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ale.io.minilm import embedded_folder

DIMENSIONS = 256


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fasttext_seconds(model: str, texts: Sequence[str]) -> float:
    import fasttext

    loaded: Any = fasttext.load_model(model)
    loaded.predict(list(texts[:100]))
    started = time.perf_counter()
    loaded.predict(list(texts))
    return time.perf_counter() - started


def fasttext_rate(
    train: Sequence[str], labels: Sequence[str], texts: Sequence[str], workers: int
) -> float | None:
    """Documents per second of `workers` processes with words and pairs of words; None where it is not installed."""
    if importlib.util.find_spec("fasttext") is None:
        return None
    import fasttext

    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    lines = [_one_line(text) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        data, model = Path(folder, "train.txt"), str(Path(folder, "model.bin"))
        rows = zip(train, labels, strict=True)
        data.write_text("".join(f"__label__{numbers[label]} {_one_line(text)}\n" for text, label in rows))
        learnt: Any = fasttext.train_supervised(str(data), wordNgrams=2, epoch=5, thread=1, verbose=0)
        learnt.save_model(model)
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            took = pool.starmap(_fasttext_seconds, [(model, lines)] * workers)
    return workers * len(lines) / max(took)


def model2vec_rate(train: Sequence[str], labels: Sequence[str], texts: Sequence[str]) -> float | None:
    """Documents per second of a static model with logistic regression behind it; None where it is not installed.

    Its vectors are the embedded encoder's for single tokens: only their number matters for the time.
    """
    if importlib.util.find_spec("model2vec") is None:
        return None
    from model2vec import StaticModel
    from safetensors.numpy import load_file
    from sklearn.linear_model import LogisticRegression
    from tokenizers import Tokenizer

    folder = embedded_folder()
    arrays = load_file(folder / "model.safetensors")
    (name,) = [name for name in arrays if name.endswith("word_embeddings.weight")]
    vectors = np.ascontiguousarray(arrays[name][:, :DIMENSIONS].astype(np.float32))
    model: Any = StaticModel(vectors, Tokenizer.from_file(str(folder / "tokenizer.json")))
    head = LogisticRegression(max_iter=50).fit(model.encode(list(train[:2_000])), list(labels[:2_000]))
    few = list(texts)
    head.predict(model.encode(few[:100]))
    started = time.perf_counter()
    head.predict(model.encode(few))
    return len(few) / (time.perf_counter() - started)
