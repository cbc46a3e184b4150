"""Trained students on disk or in an object store: one folder per version, complete or absent.

<root>/<project_key>/<version>/student.safetensors + manifest.json. On a disk the folder is written under a
temporary name, flushed, read back and renamed. An object store cannot rename, so there the manifest comes
last, and a folder without one does not exist for a reader. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from ale.errors import CheckpointError
from ale.io.places import open_place, reaching

FORMAT = 1
_ARRAYS = "student.safetensors"
_MANIFEST = "manifest.json"
_REQUIRED = ("labels", "student")
"""What a manifest must say for a student to be used again: label names in order, and the student's kind."""

Arrays = Mapping[str, NDArray[Any]]


def save_checkpoint(
    root_url: str, project_key: str, version: str, arrays: Arrays, manifest: Mapping[str, Any]
) -> str:
    """Writes a version and returns its folder; a version that exists is a CheckpointError.

    `manifest` needs at least `labels` and `student`, values must be JSON; format, version, created_at and
    checksums are added.
    """
    missing = [key for key in _REQUIRED if key not in manifest]
    if missing:
        raise CheckpointError(f"the manifest lacks {', '.join(missing)}")
    with _opened(root_url) as (fs, root):
        folder = _folder(root, project_key, version)
        if fs.exists(f"{folder}/{_MANIFEST}"):
            raise CheckpointError(
                f"checkpoint {version} of {project_key} exists; versions are never overwritten"
            )
        payload = dump_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        full = {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **manifest,
            "format": FORMAT,
            "version": version,
            "sha256": {_ARRAYS: hashlib.sha256(payload).hexdigest()},
        }
        text = json.dumps(full, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
        if isinstance(fs, LocalFileSystem):
            _place(Path(folder), {_ARRAYS: payload, _MANIFEST: text})
        else:
            fs.pipe_file(f"{folder}/{_ARRAYS}", payload)
            fs.pipe_file(f"{folder}/{_MANIFEST}", text)
            load_checkpoint(root_url, project_key, version)
        return folder


def load_checkpoint(
    root_url: str, project_key: str, version: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and manifest of a version; CheckpointError when missing, damaged or of another format."""
    with _opened(root_url) as (fs, root):
        return _read(fs, _folder(root, project_key, version), version)


def read_manifest(root_url: str, project_key: str, version: str) -> dict[str, Any]:
    """The manifest of a version, without its arrays; CheckpointError when missing or damaged."""
    with _opened(root_url) as (fs, root):
        return _manifest(fs, _folder(root, project_key, version), version)


def list_versions(root_url: str, project_key: str) -> list[str]:
    """Complete versions, oldest first (by the manifest's created_at, then by name)."""
    with _opened(root_url) as (fs, root):
        found = []
        for manifest in fs.glob(f"{_folder(root, project_key)}/*/{_MANIFEST}"):
            version = str(manifest).rsplit("/", 2)[-2]
            if not version.startswith("."):
                try:
                    created = str(json.loads(fs.cat_file(manifest)).get("created_at", ""))
                except (ValueError, AttributeError, OSError):
                    continue  # damaged or being removed: not a version one can use
                found.append((created, version))
        return [version for _, version in sorted(found)]


def prune(root_url: str, project_key: str, keep: int, protect: frozenset[str] = frozenset()) -> list[str]:
    """Removes all but the newest `keep` versions and the protected ones; returns what was removed."""
    with _opened(root_url) as (fs, root):
        versions = list_versions(root_url, project_key)
        old = [version for version in versions[: max(0, len(versions) - keep)] if version not in protect]
        for version in old:
            folder = _folder(root, project_key, version)
            fs.rm_file(f"{folder}/{_MANIFEST}")  # first: from now on the version does not exist for a reader
            fs.rm(folder, recursive=True)
        return old


@contextmanager
def _opened(root_url: str) -> Iterator[tuple[Any, str]]:
    """The file system and the folder in it; what goes wrong at an object store in the block is StoreUnreachable."""
    with reaching(root_url):
        fs, root = open_place(root_url)
        yield fs, root.rstrip("/")


def _folder(root: str, *names: str) -> str:
    for name in names:
        if not name or name.startswith(".") or any(c in name for c in "/\\\0*?["):
            raise CheckpointError(f"{name!r} cannot name a folder")
    return "/".join([root, *names])


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files appear at once, in one rename of their folder, after they were flushed and read back."""
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    temporary.mkdir(parents=True)
    for name, content in files.items():
        with (temporary / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _read(fsspec.filesystem("file"), str(temporary), folder.name)
    try:
        temporary.rename(folder)
    except OSError as error:
        raise CheckpointError(f"checkpoint {folder.name} could not be put in place: {error}") from error
    directory = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _manifest(fs: Any, folder: str, version: str) -> dict[str, Any]:
    try:
        manifest = json.loads(fs.cat_file(f"{folder}/{_MANIFEST}"))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {version}") from error
    except ValueError as error:
        raise CheckpointError(f"the manifest of checkpoint {version} is damaged") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"checkpoint {version} is of another format than {FORMAT}")
    return manifest


def _read(fs: Any, folder: str, version: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    manifest = _manifest(fs, folder, version)
    try:
        payload = fs.cat_file(f"{folder}/{_ARRAYS}")
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {version} has no {_ARRAYS}") from error
    expected = (manifest.get("sha256") or {}).get(_ARRAYS)
    if hashlib.sha256(payload).hexdigest() != expected:
        raise CheckpointError(f"checkpoint {version} is damaged: the checksum of {_ARRAYS} is wrong")
    try:
        return dict(load_arrays(payload)), manifest
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {version} is damaged: {error}") from error
