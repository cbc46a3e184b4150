"""Where an index run writes: whole files or none, a plan that must not change, and a count beside every part.

A local file is written under another name, flushed and renamed; an object store shows an object only when all of
it is there. What a run that was killed leaves is a set of whole parts and nothing else.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.implementations.local import LocalFileSystem

from ale.errors import ConfigurationError
from ale.io.places import store_errors

_BOOK = "_ale"
_PLAN = "plan.json"


class Output:
    """A folder of parts `<name><suffix>` with the book of the run in `_ale/`."""

    def __init__(self, fs: Any, folder: str, suffix: str) -> None:
        self.fs = fs
        self.folder = folder.rstrip("/")
        self.suffix = suffix
        self._local = isinstance(fs, LocalFileSystem)

    def part(self, name: str) -> str:
        """The path of a part."""
        return f"{self.folder}/part-{name}{self.suffix}"

    def begin(self, plan: dict[str, Any]) -> bool:
        """Whether a run of the same plan was begun here before; its parts then count.

        ConfigurationError where the folder holds anything else: nothing of it is touched.
        """
        try:
            self.fs.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            if not self._local:
                raise
            raise ConfigurationError(f"cannot write to {self.folder}: {error}") from error
        path = f"{self.folder}/{_BOOK}/{_PLAN}"
        if not self.fs.exists(path):
            others = [name for name in self.fs.find(self.folder) if "/." not in name[len(self.folder) :]]
            if others:
                raise ConfigurationError(
                    f"{self.folder} is not empty and holds no index run: name another output, or remove it"
                )
            self._put(path, json.dumps(plan, indent=1, sort_keys=True).encode())
            return False
        try:
            before = json.loads(self.fs.cat_file(path))
        except ValueError as error:
            raise ConfigurationError(f"{path} is damaged: remove {self.folder} and start again") from error
        changed = sorted(key for key in plan.keys() | before.keys() if plan.get(key) != before.get(key))
        if changed:
            raise ConfigurationError(
                f"{self.folder} holds another run: {', '.join(changed)} differ{_what_was(changed, before)}; give the "
                "same options and model to finish it, name another output, or start again with --restart"
            )
        self.sweep()
        return True

    def forget(self) -> None:
        """Removes the folder, if it is the output of an index run."""
        if not self.fs.exists(self.folder):
            return
        if self.fs.find(self.folder) and not self.fs.exists(f"{self.folder}/{_BOOK}/{_PLAN}"):
            raise ConfigurationError(f"{self.folder} holds no index run; remove it yourself if you mean it")
        self.fs.rm(self.folder, recursive=True)

    def done(self) -> dict[str, dict[str, Any]]:
        """The counts of every part that is there, by its name."""
        listed = [str(path).rsplit("/", 1)[-1] for path in self.fs.ls(self.folder, detail=False)]
        names = {
            file.removeprefix("part-").removesuffix(self.suffix)
            for file in listed
            if file.startswith("part-") and file.endswith(self.suffix)
        }
        if not names:
            return {}
        # All at once: a store answers many requests at a time, and there may be thousands.
        books = self.fs.cat(
            [f"{self.folder}/{_BOOK}/{name}.json" for name in sorted(names)], on_error="return"
        )
        found = {}
        for path, content in sorted(books.items()):
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise content
            try:
                counts = json.loads(b"" if isinstance(content, Exception) else content)
            except ValueError:
                continue  # a part whose counts are lost is written once more
            found[str(path).rsplit("/", 1)[-1].removesuffix(".json")] = counts
        return found

    def commit(self, name: str, write: Callable[[BinaryIO], dict[str, Any]]) -> dict[str, Any]:
        """Writes a part by `write`, which returns its counts. The counts come first: a part has them, always."""
        try:
            with self.draft(self.part(name)) as draft:
                with draft.open("wb") as file:
                    counts = write(file)
                    file.flush()
                    os.fsync(file.fileno())
                self._put(f"{self.folder}/{_BOOK}/{name}.json", json.dumps(counts, sort_keys=True).encode())
        except store_errors() as error:
            raise ConfigurationError(
                f"cannot write {self.part(name)}: {error}; what is done stays, the same command goes on"
            ) from error
        return counts

    @contextmanager
    def draft(self, path: str) -> Iterator[Path]:
        """A local file that becomes `path` at the end, unless something is raised."""
        if self._local:
            target = Path(path)
            draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
            try:
                yield draft
                draft.replace(target)
                _keep(target.parent)
            finally:
                draft.unlink(missing_ok=True)
        else:
            with tempfile.TemporaryDirectory(prefix="ale-index-") as folder:
                draft = Path(folder) / "part"
                yield draft
                self.fs.put_file(str(draft), path)

    def _put(self, path: str, content: bytes) -> None:
        if not self._local:
            self.fs.pipe_file(path, content)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with self.draft(path) as draft:
            _write_through(draft, content)

    def sweep(self) -> None:
        """Removes drafts that killed processes left; nobody may be writing."""
        if self._local:
            for folder in (Path(self.folder), Path(self.folder) / _BOOK):
                for draft in folder.glob(".*.[0-9a-f]*"):
                    draft.unlink()


def _what_was(changed: Sequence[str], before: dict[str, Any]) -> str:
    """What the run there was begun with, where that is a word: an option may have been chosen by a machine."""
    words = [f"{key} was {before[key]}" for key in changed if isinstance(before.get(key), str)]
    return f" ({', '.join(words)})" if words else ""


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep(folder: Path) -> None:
    """What was renamed in a folder stays so when the power fails."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
