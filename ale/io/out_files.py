"""The files that a command line names for its results: `--out a.html,b.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ale.errors import ConfigurationError


def out_files(out: str, kinds: Sequence[str], others: Sequence[Path] = ()) -> list[Path]:
    """The files of --out, by comma. Raises ConfigurationError for one that is named twice, or that is among the
    `others` of the same command line, and for an ending that is none of the `kinds`.
    """
    files = [Path(part.strip()) for part in out.split(",") if part.strip()]
    named = [*others, *files]
    places = [path.resolve() for path in named]
    twice = [path for path, place in zip(named, places, strict=True) if places.count(place) > 1]
    if twice:
        raise ConfigurationError(
            f"{twice[0]} is named twice: what is read and what is written must be different files"
        )
    for file in files:
        if file.suffix not in kinds:
            raise ConfigurationError(f"--out {file}: the file's name must end in {', '.join(kinds)}")
    return files
