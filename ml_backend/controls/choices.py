"""`<Choices choice="single">` on a `<Text value="$field">`: exactly one label per text."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from xml.etree.ElementTree import Element

from ale.errors import LabelSpaceMismatch
from ale.types import LabelSpace
from ml_backend.controls.markup import attribute, elements
from ml_backend.controls.protocol import Json, UnsupportedConfig, read_values

_FIELD = re.compile(r"\$([\w.-]+|undefined\$)")
_UNDEFINED = "$undefined$"
"""The key of the text when plain lines were imported into a project without a config."""


@dataclass(frozen=True, slots=True)
class Choices:
    """A single-choice question about one text."""

    tag: ClassVar[str] = "Choices"
    supported: ClassVar[str] = 'one <Choices choice="single"> whose toName is a <Text value="$field">'

    from_name: str
    to_name: str
    field: str
    label_space: LabelSpace

    @classmethod
    def from_config(cls, root: Element) -> Self:
        """The required single-choice question on a text, else the first one; other controls are left alone."""
        usable: list[tuple[bool, Self]] = []
        problems: list[str] = []
        for element in elements(root, cls.tag):
            problem = _problem(element)
            if problem:
                problems.append(problem)
                continue
            try:
                required = attribute(element, "required").lower() == "true"
                usable.append((required, cls._read(root, element)))
            except UnsupportedConfig as error:
                problems.append(str(error))
        required_ones = [control for required, control in usable if required]
        if len(required_ones) > 1:
            names = " and ".join(f'"{control.from_name}"' for control in required_ones)
            raise UnsupportedConfig(
                f'the Choices {names} are all required="true", and ALE answers one question per project; '
                'take required="true" off the others'
            )
        if not usable:
            raise UnsupportedConfig(problems[0] if problems else "there is no <Choices>")
        return required_ones[0] if required_ones else usable[0][1]

    @classmethod
    def _read(cls, root: Element, element: Element) -> Self:
        name = attribute(element, "name")
        to_name = attribute(element, "toName")
        text = next((e for e in elements(root, "Text") if attribute(e, "name") == to_name), None)
        if text is None:
            raise UnsupportedConfig(f'the Choices "{name}" are about "{to_name}", which is not a <Text>')
        if attribute(text, "valueType").lower() == "url":
            raise UnsupportedConfig(f'the Text "{to_name}" is fetched from an address (valueType="url")')
        field = _FIELD.fullmatch(attribute(text, "value").strip())
        if field is None:
            raise UnsupportedConfig(f'the Text "{to_name}" does not show one data field (value="$field")')
        return cls(name, to_name, _key(field[1]), _label_space(name, element))

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when names, the text's field, labels, hints or their order change."""
        payload = json.dumps(
            [self.tag, self.from_name, self.to_name, self.field, self.label_space.fingerprint]
        )
        return hashlib.sha256(payload.encode()).hexdigest()[:12]

    def text(self, data: object) -> object:
        """The value of the text's field; of the only string when the data has no names of its own."""
        if not isinstance(data, Mapping):
            return None
        if self.field in data:
            return data[self.field]
        if _UNDEFINED in data:
            return data[_UNDEFINED]
        if self.field == _UNDEFINED:
            strings = [v for k, v in data.items() if isinstance(v, str) and not str(k).startswith("ale_")]
            return strings[0] if len(strings) == 1 else None
        return _nested(data, self.field)

    def region(self, label: str, confidence: float | None = None) -> Json:
        """One result item. Its id is the same in every version and marks it as ours: a suggestion that was
        turned into an annotation in bulk keeps it.
        """
        if self.label_space.index(label) is None:
            raise LabelSpaceMismatch(f'a label that the Choices "{self.from_name}" do not have')
        digest = hashlib.blake2b(json.dumps([self.from_name, label]).encode(), digest_size=5).hexdigest()
        region: Json = {
            "id": f"ale-{digest}",
            "from_name": self.from_name,
            "to_name": self.to_name,
            "type": "choices",
            "value": {"choices": [label]},
        }
        if confidence is not None:
            if not (math.isfinite(confidence) and 0.0 <= confidence <= 1.0):
                raise ValueError(f"confidence {confidence} is not in [0, 1]")
            region["score"] = float(confidence)
        return region

    def read_label(self, result: Iterable[Json]) -> str | None:
        """The chosen value, also when the config has lost it since; None when empty or when two stand there."""
        chosen: list[Any] = []
        for item in result:
            if item.get("from_name") == self.from_name:
                value = item.get("value")
                choices = value.get("choices") if isinstance(value, Mapping) else None
                chosen += choices if isinstance(choices, list) else []
        return chosen[0] if len(chosen) == 1 and isinstance(chosen[0], str) else None

    def read_values(self, result: Iterable[Json]) -> dict[str, Any]:
        """Values of all controls by name, comparable."""
        return read_values(result)


def _problem(element: Element) -> str:
    name, values = attribute(element, "name"), attribute(element, "value")
    kind = attribute(element, "choice").strip().lower() or "single"
    per_part = "true" in {attribute(element, "perRegion").lower(), attribute(element, "perItem").lower()}
    conditional = bool(attribute(element, "visibleWhen") or attribute(element, "whenTagName"))
    problems = (
        (not name or not attribute(element, "toName"), "lack a name or a toName"),
        (kind == "multiple", 'allow several answers (choice="multiple")'),
        (kind not in {"single", "single-radio", "multiple"}, f'have an unknown choice="{kind[:60]}"'),
        (per_part, "are about regions or items of a text (perRegion, perItem)"),
        ("$" in values, f'come from each task\'s data (value="{values[:60]}")'),
        (conditional, "are shown only under a condition (visibleWhen)"),
    )
    return next((f'the Choices "{name}" {what}' for found, what in problems if found), "")


def _label_space(name: str, element: Element) -> LabelSpace:
    labels: dict[str, str] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    for choice in elements(element, "Choice"):
        if len(list(elements(choice, "Choice"))) > 1:
            raise UnsupportedConfig(f'the Choices "{name}" are nested')
        shown, alias = attribute(choice, "value"), attribute(choice, "alias")
        label = alias or shown
        if not label.strip():
            continue
        if label in labels:
            raise UnsupportedConfig(f'the Choices "{name}" have the value "{label[:60]}" twice')
        # What the annotators read: the shown value when results hold an alias instead, and the hint.
        other_name = shown if alias and shown != alias else ""
        labels[label] = ": ".join(word for word in (other_name, attribute(choice, "hint")) if word)
        aliases[label] = (other_name,) if other_name.strip() else ()
    if not labels:
        raise UnsupportedConfig(f'the Choices "{name}" have no <Choice>')
    return LabelSpace(tuple(labels), tuple(labels.values()), aliases=tuple(aliases.values()))


def _key(name: str) -> str:
    return _UNDEFINED if name == "undefined$" else name


def _nested(data: object, path: str) -> object:
    for part in path.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return None
        data = data[part]
    return data
