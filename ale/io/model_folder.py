"""The model folder: what `ale fit` makes and `ale index` reads, complete in itself and never half-written.

manifest.json names every other file with its checksum, and has a checksum of its own. Weights are safetensors;
nothing is ever unpickled. The folder is written under another name, flushed and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from ale.errors import CheckpointError, ConfigurationError
from ale.io.places import open_place, reaching

FORMAT = 1
MANIFEST = "manifest.json"
_OWN_SUM = "manifest_sha256"

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]
"""By file, without the suffix, and by name."""


def write_model(folder: Path, arrays: Arrays, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the folder and returns the manifest as it was written; the folder must not exist.

    Adds `format`, `version` (of the weights and labels: equal content, equal version), `created_at` and checksums.
    """
    check_free(folder)
    payloads = {
        f"{name}.safetensors": dump_arrays({key: np.ascontiguousarray(a) for key, a in part.items()})
        for name, part in arrays.items()
    }
    sums = {name: hashlib.sha256(payload).hexdigest() for name, payload in payloads.items()}
    content = json.dumps([sums, dict(manifest)], sort_keys=True).encode()
    full = {
        **manifest,
        "format": FORMAT,
        "version": hashlib.sha256(content).hexdigest()[:12],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": sums,
    }
    full[_OWN_SUM] = _own_sum(full)
    text = json.dumps(full, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
    _place(folder, {**payloads, MANIFEST: text})
    return full


def check_free(folder: Path) -> None:
    """ConfigurationError where a model cannot be written; asked before the work begins."""
    if folder.exists():
        raise ConfigurationError(f"{folder} exists; a model is never overwritten: remove it or name another")
    if not folder.absolute().parent.is_dir():
        raise ConfigurationError(f"cannot write {folder}: there is no folder {folder.absolute().parent}")


def read_model(folder: str) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, Any]]:
    """Arrays and manifest; CheckpointError when the folder is damaged or of another format. May be a URL."""
    with reaching(folder):
        return _read(folder)


def _read(folder: str) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, Any]]:
    fs, path = open_place(folder)
    root = path.rstrip("/")
    manifest = _manifest(fs, root, folder)
    arrays = {}
    for name, expected in manifest["sha256"].items():
        try:
            payload = fs.cat_file(f"{root}/{name}")
        except FileNotFoundError as error:
            raise CheckpointError(f"the model {folder} is damaged: it has no {name}") from error
        if hashlib.sha256(payload).hexdigest() != expected:
            raise CheckpointError(
                f"the model {folder} is damaged: {name} is not the file that the manifest names "
                "(copied in part, or from another model)"
            )
        try:
            arrays[name.removesuffix(".safetensors")] = dict(load_arrays(payload))
        except SafetensorError as error:
            raise CheckpointError(f"the model {folder} is damaged: {name}: {error}") from error
    return arrays, manifest


def _manifest(fs: Any, root: str, folder: str) -> dict[str, Any]:
    try:
        manifest = json.loads(fs.cat_file(f"{root}/{MANIFEST}"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is no model: it has no {MANIFEST}; `ale fit` makes one") from error
    except ValueError as error:
        raise CheckpointError(f"the model {folder} is damaged: {MANIFEST} is not JSON") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise CheckpointError(f"{folder} is no model: its {MANIFEST} names no format")
    if manifest["format"] > FORMAT:
        raise CheckpointError(
            f"the model {folder} was made by a newer ALE (format {manifest['format']}; this one reads {FORMAT}): "
            "install a newer ale-label-studio"
        )
    if manifest["format"] < FORMAT:
        raise CheckpointError(
            f"the model {folder} is of format {manifest['format']}, this ALE reads {FORMAT}: "
            "make it again with `ale fit`"
        )
    if manifest.pop(_OWN_SUM, None) != _own_sum(manifest) or not isinstance(manifest.get("sha256"), dict):
        raise CheckpointError(f"the model {folder} is damaged: {MANIFEST} was changed after it was written")
    return manifest


def _own_sum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    temporary = folder.absolute().parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        for name, content in files.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ConfigurationError(f"cannot write {folder}: {error}") from error
