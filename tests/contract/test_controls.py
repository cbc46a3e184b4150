"""Every control and every config that we hand out: what we publish from it, Label Studio accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface.interface import LabelInterface

from ale.errors import LabelSpaceMismatch
from ml_backend.controls import CONTROLS, UnsupportedConfig, find_control
from ml_backend.controls.markup import elements, parse
from ml_backend.payloads import to_prediction

ROOT = Path(__file__).parents[2]
CONFIGS = sorted([*ROOT.glob("label_config/*.xml"), *ROOT.glob("ml_backend/demo/data/*.xml")])


def sdk(label_config: str) -> Any:
    """Label Studio's own reading of a config; the SDK has no types here."""
    return LabelInterface(label_config)


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def label_config(request: pytest.FixtureRequest) -> str:
    """One of the configs."""
    path: Path = request.param
    return path.read_text()


def test_configs_are_good_examples(label_config: str) -> None:
    """Required, each label with a hint and a hotkey of its own, valid for the SDK."""
    control = find_control(label_config)
    root = parse(label_config)
    assert all(control.label_space.hints)
    keys = [element.get("hotkey") for element in elements(root, "Choice")]
    assert len(set(keys)) == len(keys) == len(control.label_space)
    asked = next(e for e in root.iter() if e.get("name") == control.from_name)
    assert asked.get("required") == "true"
    sdk(label_config).validate()


def test_our_reading_is_the_sdks(label_config: str) -> None:
    """Names and label values are those that Label Studio's own parser finds."""
    control = find_control(label_config)
    theirs = sdk(label_config).get_control(control.from_name)
    assert theirs.to_name == [control.to_name]
    assert tuple(theirs.labels) == control.label_space.labels
    assert theirs.objects[0].value_name == control.field


def test_predictions_are_accepted(label_config: str) -> None:
    """The SDK finds nothing to say about any label, any confidence, or a row without a label."""
    control, theirs = find_control(label_config), sdk(label_config)
    for label in [*control.label_space.labels, None]:
        for confidence in (0.0, 0.5, 1.0, None):
            prediction = to_prediction(1, control, label, confidence, 0.5, "ale-1")
            assert theirs.validate_prediction(prediction, return_errors=True) == []


def test_what_the_sdk_refuses_does_not_leave(label_config: str) -> None:
    """Unknown labels and scores outside [0, 1]: refused there, refused here."""
    control, theirs = find_control(label_config), sdk(label_config)
    good = to_prediction(1, control, control.label_space.labels[0], 0.5, 0.5, "ale-1")
    unknown = {**good, "result": [{**good["result"][0], "value": {"choices": ["no such label"]}}]}
    assert theirs.validate_prediction(unknown, return_errors=True)
    assert theirs.validate_prediction({**good, "score": 1.5}, return_errors=True)
    for label, score in (("no such label", 0.5), (control.label_space.labels[0], 1.5)):
        with pytest.raises((LabelSpaceMismatch, ValueError)):
            to_prediction(1, control, label, 0.5, score, "ale-1")


def test_answers_come_back(label_config: str) -> None:
    """A suggestion that a person accepts is read as the label that was suggested."""
    control = find_control(label_config)
    for label in control.label_space.labels:
        accepted = [{**control.region(label, 0.5), "origin": "prediction"}]
        assert control.read_label(accepted) == label


@pytest.mark.parametrize("tag", CONTROLS)
def test_each_control_has_an_example(tag: str) -> None:
    """A new control comes with a config to paste."""
    assert any(type(find_control(path.read_text())).tag == tag for path in CONFIGS)
    assert CONTROLS[tag].tag == tag
    assert f"<{tag}" in CONTROLS[tag].supported


def test_texts_name_files_that_exist() -> None:
    """The table lists all configs, and the error message only names what is there."""
    table = (ROOT / "label_config" / "README.md").read_text()
    files = {path.name for path in ROOT.glob("label_config/*.xml")}
    assert set(re.findall(r"\]\(([\w-]+\.xml)\)", table)) == files
    with pytest.raises(UnsupportedConfig) as refused:
        find_control("<View/>")
    assert set(re.findall(r"[\w-]+\.xml", str(refused.value))) <= files
