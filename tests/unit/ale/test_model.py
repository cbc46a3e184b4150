"""The model that leaves home: what is measured, what is deferred, and its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ale.cascade import Cascade, HeldOut
from ale.errors import CheckpointError, ConfigurationError, NotEnoughLabels
from ale.fitting import FitInput, Fitted, fit_model
from ale.io.model_folder import MANIFEST, read_model, write_model
from ale.model import Model
from ale.scanner.texts import BadRow
from ale.students import LinearStudent
from tests.unit.ale.scanning import LABELS, WordEncoder, make_texts, small_model


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """One for all tests: it is immutable."""
    return small_model()


def test_what_is_measured_is_true_of_new_texts(fitted: Fitted) -> None:
    """Accuracy out of fold is the accuracy on texts that nobody has seen, within what 300 texts can tell."""
    texts, targets = make_texts(1_000, seed=9)
    said = [LABELS.index(one.label) for one in fitted.model.predict(texts) if one.label]
    assert abs(np.mean(np.array(said) == targets) - fitted.metrics["scanner_accuracy"]) < 0.06
    assert fitted.metrics["scanner_ece"] < 0.1
    assert fitted.metrics["agreement"] > 0.9


def test_texts_without_a_label_are_taught_by_the_student() -> None:
    """Words that stand only in unlabelled texts get the label that the student gives these texts."""
    texts, targets = make_texts(200)
    more, of = make_texts(200, seed=1)
    extra = [f"{text} qqunseen" for text, target in zip(more, of, strict=True) if LABELS[target] == "praise"]
    encoder = WordEncoder()
    everything = [*texts, *extra]
    given = FitInput(
        texts=everything,
        raw=encoder.encode(everything),
        targets=np.concatenate([targets, np.full(len(extra), -1)]),
        groups=np.arange(len(everything)),
        labels=LABELS,
        student=LinearStudent,
    )
    assert fit_model(given, encoder).model.predict(["qqunseen"])[0].label == "praise"


def test_one_label_is_too_few() -> None:
    """A clear error, not a model that always says the same."""
    encoder = WordEncoder()
    given = FitInput(
        ["a", "b"], encoder.encode(["a", "b"]), np.zeros(2, np.int64), np.arange(2), LABELS, LinearStudent
    )
    with pytest.raises(NotEnoughLabels, match="two labels"):
        fit_model(given, encoder)


def test_the_least_confident_are_deferred(fitted: Fitted) -> None:
    """Exactly the share, exactly the least sure ones; the encoder sees no other text, and bad rows never."""
    encoder = WordEncoder()
    model = replace(fitted.model, encoder=encoder)
    texts, _ = make_texts(50, seed=5)
    alone = model.predict([*texts, None, ""])
    assert not encoder.asked
    both = model.predict([*texts, None, ""], defer=0.2)
    assert len(encoder.asked) == 10
    bound = sorted(one.confidence for one in alone[:50])[9]
    assert all(
        one.confidence <= bound for one, text in zip(alone, texts, strict=False) if text in encoder.asked
    )
    assert [one.reason for one in both[50:]] == [BadRow.NULL, BadRow.NO_TEXT]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.31, 4), (1.0, 10)])
def test_a_share_is_rounded_up(share: float, count: int) -> None:
    """Of ten texts; 0.3 is three although 0.3 * 10 is a little more."""
    confidence = np.linspace(0.1, 1, 10).astype(np.float32)
    assert Cascade(share).deferred(confidence, np.ones(10, bool)).tolist() == list(range(count))


def test_an_accuracy_is_reached_by_deferring_least() -> None:
    """The scanner is right where it is sure, the student always: only the unsure ones are deferred."""
    n = 4_000
    sure = np.linspace(0.5, 1, n).astype(np.float32)
    scanner = np.stack([sure, 1 - sure], axis=1)
    student = np.tile(np.array([[1.0, 0.0]], np.float32), (n, 1))
    truth = np.zeros(n, np.int32)
    scanner[: n // 5] = scanner[: n // 5, ::-1]  # wrong where it is least sure
    held_out = HeldOut(truth, scanner, student)
    cascade, share = held_out.deferring(0.95)
    assert 0.15 < share < 0.17
    assert len(cascade.deferred(scanner.max(axis=1), np.ones(n, bool))) == pytest.approx(share * n, abs=2)
    assert not held_out.deferring(0.7)[0]
    with pytest.raises(ConfigurationError, match="cannot be promised"):
        HeldOut(truth, scanner, scanner).deferring(0.95)


def test_a_folder_holds_the_whole_model(fitted: Fitted, tmp_path: Path) -> None:
    """Written and read it says the same, with and without the student; equal content has an equal version."""
    arrays, manifest = fitted.model.state()
    written = write_model(tmp_path / "m", arrays, manifest)
    again = write_model(tmp_path / "n", arrays, manifest)
    assert written["version"] == again["version"]
    model = Model.from_state(*read_model(str(tmp_path / "m")), WordEncoder())
    texts, _ = make_texts(100, seed=6)
    assert model.predict(texts, defer=0.5) == fitted.model.predict(texts, defer=0.5)
    assert model.version == written["version"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "n"]
    with pytest.raises(ConfigurationError, match="exists"):
        write_model(tmp_path / "m", arrays, manifest)


def test_another_encoder_is_refused(fitted: Fitted, tmp_path: Path) -> None:
    """The student's weights mean nothing to it."""
    write_model(tmp_path / "m", *fitted.model.state())
    other = WordEncoder()
    other.name = "other"
    with pytest.raises(CheckpointError, match="made with the encoder words"):
        Model.from_state(*read_model(str(tmp_path / "m")), other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "newer ALE"),
        ({"format": 0}, "make it again"),
        ({"format": None}, "names no format"),
        ({"labels": ["praise", "delivery", "billing"]}, "was changed"),
        ({"temperature": 3.0}, "was changed"),
    ],
)
def test_a_manifest_of_another_format_or_changed_is_refused(
    fitted: Fitted, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    """Newer, older, or edited: the message says which."""
    write_model(tmp_path / "m", *fitted.model.state())
    file = tmp_path / "m" / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CheckpointError, match=said):
        read_model(str(tmp_path / "m"))


def test_a_damaged_folder_is_refused(fitted: Fitted, tmp_path: Path) -> None:
    """A byte changed, a file from another model, a file or the manifest gone."""
    write_model(tmp_path / "m", *fitted.model.state())
    weights = tmp_path / "m" / "scanner.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"damaged: scanner\.safetensors"):
        read_model(str(tmp_path / "m"))
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"it has no scanner\.safetensors"):
        read_model(str(tmp_path / "m"))
    (tmp_path / "m" / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="no model"):
        read_model(str(tmp_path / "m"))
