"""Which labelling controls we can answer, by tag. A new one is a file here and a line in `CONTROLS`."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ml_backend.controls.choices import Choices
from ml_backend.controls.markup import described, elements, parse
from ml_backend.controls.protocol import Control, Json, UnsupportedConfig

__all__ = ["CONTROLS", "Control", "Json", "UnsupportedConfig", "find_control"]

CONTROLS: dict[str, type[Control]] = {
    Choices.tag: Choices,
}


def find_control(label_config: object) -> Control:
    """The control that we answer in this config; raises UnsupportedConfig with words for its author."""
    root = _parsed(label_config)
    reasons = []
    for tag, kind in CONTROLS.items():
        if next(elements(root, tag), None) is None:
            continue
        try:
            return kind.from_config(root)
        except UnsupportedConfig as error:
            reasons.append(str(error))
    why = (
        "; ".join(reasons) or f"found {described(root)}, but no {' or '.join(f'<{tag}>' for tag in CONTROLS)}"
    )
    raise UnsupportedConfig(_explained(why))


def _parsed(label_config: object) -> Element:
    """The config's root, with the same advice in the error as everywhere."""
    try:
        return parse(label_config)
    except UnsupportedConfig as error:
        raise UnsupportedConfig(_explained(str(error))) from error


def _explained(why: str) -> str:
    supported = " or ".join(kind.supported for kind in CONTROLS.values())
    return (
        f"This labelling config cannot be used: {why}. ALE supports {supported}; other controls beside it are "
        "ignored. Paste a working one: label_config/text-classification.xml, sentiment.xml or topic-with-comment.xml."
    )
