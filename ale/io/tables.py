"""Files that a user hands in: CSV tables (plain or gzipped) and label descriptions."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from ale.errors import ConfigurationError

csv.field_size_limit(2**31 - 1)  # a text may be a book; `ale.text.normalise` cuts it

_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, all of one length; cells are text as it stands in the file."""

    name: str
    columns: dict[str, list[str]]

    def column(self, name: str) -> list[str]:
        """The cells of a column; ConfigurationError lists the columns that there are."""
        if name not in self.columns:
            raise ConfigurationError(
                f"{self.name} has no column {name!r}; its columns: {', '.join(map(repr, self.columns))}"
            )
        return self.columns[name]


def read_table(path: Path) -> Table:
    """A CSV file with a header, UTF-8, `.gz` or not. Raises ConfigurationError with the line at fault."""
    text = _read(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {reader.line_num}: not CSV: {error}") from error
    if len(rows) < 2:
        raise ConfigurationError(f"{path} is empty: a header and at least one row are needed")
    header = rows[0][1]
    if len(set(header)) != len(header):
        raise ConfigurationError(f"{path} has two columns of one name: {', '.join(map(repr, header))}")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise ConfigurationError(f"{path}, line {line}: {len(row)} cells for {len(header)} columns")
    cells = zip(*(row for _, row in rows[1:]), strict=True)
    return Table(path.name, {name: list(column) for name, column in zip(header, cells, strict=True)})


def read_descriptions(path: Path) -> dict[str, str]:
    """What is said about each label: a YAML (or JSON) mapping from label to a text or a list of texts.

    Raises ConfigurationError for anything else, naming the label and what stands there. A label may look like
    something else: `no` stays `no`, and is not the value false.
    """
    try:
        given = yaml.compose(_read(path), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        # What was read is a text, so the parser does not know the file's name.
        said = str(error).replace("<unicode string>", str(path))
        raise ConfigurationError(f"{path} is not YAML: {said}") from error
    wanted = f"{path}: wanted a mapping from each label to a description or a list of them"
    if not isinstance(given, yaml.MappingNode):
        raise ConfigurationError(wanted)
    found: dict[str, str] = {}
    for label, told in given.value:
        texts = told.value if isinstance(told, yaml.SequenceNode) else [told]
        if not all(isinstance(node, yaml.ScalarNode) for node in (label, *texts)):
            raise ConfigurationError(wanted)
        if label.value in found:
            raise ConfigurationError(f"{path} describes {label.value!r} twice")
        for text in texts:
            if text.tag != _TEXT:
                raise ConfigurationError(
                    f"{path}: the description of {label.value!r} is not a text but "
                    f"{text.value or 'nothing'}; if that is meant, write it in quotes"
                )
        found[label.value] = "; ".join(text.value.strip() for text in texts if text.value.strip())
    return found


def fingerprint(path: Path) -> dict[str, str]:
    """The name and SHA-256 of a file, by which another can tell that theirs is the same."""
    try:
        return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: byte {error.start}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
