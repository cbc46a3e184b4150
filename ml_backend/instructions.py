"""Labelling instructions as plain text: what annotators read, teachers read."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from ale.types import LabelSpace
from ml_backend.controls import find_control
from ml_backend.store.schema import Project

MAX_CHARS = 8_000
_BLOCKS = {"p", "br", "li", "div", "tr", "h1", "h2", "h3", "h4", "ul", "ol"}
_SILENT = {"script", "style"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def plain_text(html: str) -> str:
    """The words of an HTML fragment, one line per block, at most `MAX_CHARS`."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)[:MAX_CHARS]


def space_of(project: Project) -> LabelSpace:
    """The project's labels with all that is said of them, as last read. Raises UnsupportedConfig."""
    return replace(find_control(project.label_config).label_space, instructions=project.instructions)
