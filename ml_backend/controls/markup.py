"""Labelling configs as XML trees, read as Label Studio's editor reads them: case of tags does not matter.

Configs come over HTTP, so nothing in them is expanded or fetched: a document type is refused outright.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ml_backend.controls.protocol import UnsupportedConfig

MAX_CHARS = 1_000_000
"""A config with 500 described labels has some 60,000."""


def parse(label_config: object) -> Element:
    """The config's root; raises UnsupportedConfig when it is empty, no XML, too long or dangerous."""
    if not isinstance(label_config, str) or not label_config.strip():
        raise UnsupportedConfig("the labelling config is empty")
    if len(label_config) > MAX_CHARS:
        raise UnsupportedConfig(f"the labelling config is longer than {MAX_CHARS:,} characters")
    try:
        root: Element = fromstring(label_config.strip(), forbid_dtd=True)
    except DefusedXmlException as error:
        raise UnsupportedConfig("the labelling config declares a document type or entities") from error
    except (ParseError, ValueError) as error:
        where = getattr(error, "position", None)
        place = f" (line {where[0]}, column {where[1]})" if where else ""
        raise UnsupportedConfig(f"the labelling config is not valid XML{place}") from error
    return root


def elements(root: Element, tag: str) -> Iterator[Element]:
    """All elements of that tag below `root`, in the config's order."""
    return (element for element in root.iter() if _same(element.tag, tag))


def attribute(element: Element, name: str) -> str:
    """The attribute whatever the case of its name; empty when absent."""
    exact = element.get(name)
    if exact is not None:
        return exact
    return next((value for key, value in element.items() if _same(key, name)), "")


def described(root: Element) -> str:
    """The named tags of a config in a few words, e.g. `Text "text", Labels "ner"`; for error messages."""
    named = [f'{e.tag} "{attribute(e, "name")}"' for e in root.iter() if attribute(e, "name")]
    shown = ", ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else "")
    return shown or "nothing with a name"


def _same(left: str, right: str) -> bool:
    return left.lower() == right.lower()
