"""What a student was trained on, written once and named by its content."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ale.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One label as the learn run saw it; the text itself stays in Label Studio, `text_hash` names it."""

    task: int
    text_hash: str
    label: str
    provenance: str
    annotator: str


def write_snapshot(folder: Path | str, rows: Iterable[SnapshotRow]) -> str:
    """The id (12 hex digits) of these rows in this order; equal rows, equal id, written once."""
    payload = b"".join(
        json.dumps(asdict(row), sort_keys=True, ensure_ascii=True).encode() + b"\n" for row in rows
    )
    name = hashlib.sha256(payload).hexdigest()[:12]
    path = snapshot_file(folder, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        with temporary.open("wb") as file:
            file.write(gzip.compress(payload, mtime=0))  # no clock inside: equal content, equal file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return name


def read_snapshot(folder: Path | str, name: str) -> Iterator[SnapshotRow]:
    """The rows of a snapshot; CheckpointError when it is missing or not what its id says."""
    path = snapshot_file(folder, name)
    try:
        payload = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no snapshot {name}") from error
    except (OSError, EOFError) as error:
        raise CheckpointError(f"snapshot {name} is damaged") from error
    if hashlib.sha256(payload).hexdigest()[:12] != name:
        raise CheckpointError(f"snapshot {name} is damaged")
    return (SnapshotRow(**json.loads(line)) for line in payload.splitlines())


def snapshot_file(folder: Path | str, name: str) -> Path:
    """Where a snapshot lies, whether or not it is there: gzipped JSON, a line per label."""
    if not re.fullmatch(r"[0-9a-f]{12}", name):
        raise CheckpointError(f"{name!r} is not the id of a snapshot")
    return Path(folder) / f"{name}.jsonl.gz"
