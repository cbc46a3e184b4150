"""Which files INPUT means: a file, a folder, a glob, here or wherever fsspec reaches."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ale.errors import ConfigurationError, MissingExtra
from ale.io.places import open_place, reaching

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_KNOWN = ".parquet, .jsonl, .jsonl.gz, .jsonl.zst, .csv, .csv.gz, .csv.zst"


@dataclass(frozen=True, slots=True)
class Kind:
    """A format and how files of it are compressed; Parquet compresses by itself. `suffix` as it was given."""

    format: str
    compression: str | None
    suffix: str


@dataclass(frozen=True, slots=True, eq=False)
class InputFile:
    """One file. `stamp` changes with its content, as far as the store tells."""

    fs: Any
    path: str
    size: int
    stamp: str
    kind: Kind


def kind_of(path: str) -> Kind | None:
    """Format and compression by suffix; None for any other file."""
    name = path.rstrip("/").rsplit("/", 1)[-1].lower()
    packed = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")
    plain = name.removesuffix(packed)
    suffix = next((suffix for suffix in FORMATS if plain.endswith(suffix)), "")
    if not suffix or (packed and FORMATS[suffix] == "parquet"):
        return None
    return Kind(FORMATS[suffix], COMPRESSIONS.get(packed), suffix + packed)


def find_inputs(url: str) -> list[InputFile]:
    """The files in the order of their names, all of one format. Names that start with `_` or `.` are no data."""
    with reaching(url):
        return _find_inputs(url)


def _find_inputs(url: str) -> list[InputFile]:
    fs, path = open_place(url)
    if any(sign in path for sign in "*?["):
        found = [name for name in fs.glob(path) if not fs.isdir(name)]
    elif fs.isdir(path):
        found = [name for name in fs.find(path) if not _hidden(name[len(path.rstrip("/")) :])]
    elif fs.exists(path):
        found = [path]
        if kind_of(path) is None:
            raise ConfigurationError(f"{url} is none of the files that can be read: {_KNOWN}")
    else:
        raise ConfigurationError(f"there is no {url}")
    files = []
    for name in sorted(found):
        kind = kind_of(name)
        if kind is not None:
            info = fs.info(name)
            stamp = next((str(info[key]) for key in ("ETag", "etag", "mtime", "created") if key in info), "")
            files.append(InputFile(fs, name, int(info["size"] or 0), stamp, kind))
    if not files:
        raise ConfigurationError(f"{url} holds none of the files that can be read: {_KNOWN}")
    _check_one_format(url, files)
    return files


def _check_one_format(url: str, files: Sequence[InputFile]) -> None:
    formats = sorted({file.kind.format for file in files})
    if len(formats) > 1:
        raise ConfigurationError(
            f"{url} holds files of several formats ({', '.join(formats)}); name one, for example '*.{formats[0]}'"
        )


def _hidden(below: str) -> bool:
    return any(part.startswith(("_", ".")) for part in below.split("/") if part)


def need_arrow() -> None:
    """Raises MissingExtra where pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("ale index", "index")
