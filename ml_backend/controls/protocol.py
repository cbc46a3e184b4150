"""What a labelling control must offer, on one page, and how an unusable labelling config is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, Self
from xml.etree.ElementTree import Element

from ale.errors import ConfigurationError
from ale.types import LabelSpace

Json = dict[str, Any]


class UnsupportedConfig(ConfigurationError):
    """The labelling config asks nothing that we can answer; the message tells a user what to do."""


class Control(Protocol):
    """One question of a labelling config: reads the text, reads people's answers, writes our own."""

    tag: ClassVar[str]
    supported: ClassVar[str]
    """One sentence for the user: what of this tag works."""

    @classmethod
    def from_config(cls, root: Element) -> Self:
        """The control that this config asks with; raises UnsupportedConfig with the reason."""
        ...

    @property
    def from_name(self) -> str:
        """The control's name: ties a result to the config, together with `to_name`."""
        ...

    @property
    def to_name(self) -> str:
        """The name of the object that it is about."""
        ...

    @property
    def field(self) -> str:
        """The key of the text in a task's data."""
        ...

    @property
    def label_space(self) -> LabelSpace:
        """Exactly the values that results must contain (a choice's alias when it has one), and their hints."""
        ...

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when the question, its labels or the place of its text change."""
        ...

    def text(self, data: object) -> object:
        """What a task's `data` holds in the place of the text, as it is; None when there is nothing."""
        ...

    def region(self, label: str, confidence: float | None = None) -> Json:
        """The result item that answers with `label`; raises LabelSpaceMismatch for any other value."""
        ...

    def read_label(self, result: Iterable[Json]) -> str | None:
        """The one label that an annotation's result gives to this control; None for none or several."""
        ...

    def read_values(self, result: Iterable[Json]) -> dict[str, Any]:
        """All values by `from_name`, of every control, without ids, order or origin: equal answers are equal."""
        ...


def read_values(result: Iterable[Json]) -> dict[str, Any]:
    """See `Control.read_values`; the same for every control."""
    values: dict[str, list[Json]] = {}
    for item in result:
        name, value = item.get("from_name"), item.get("value")
        if isinstance(name, str) and isinstance(value, Mapping):
            values.setdefault(name, []).append({key: _sorted(value[key]) for key in sorted(value)})
    return {name: sorted(values[name], key=repr) for name in sorted(values)}


def _sorted(value: Any) -> Any:
    """Several choices have no order that means anything."""
    flat = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return sorted(value) if flat else value
