"""Where the parts of an index run go: a folder, or beside the one file that they become in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ale.errors import ConfigurationError
from ale.io.index.inputs import InputFile, Kind, kind_of
from ale.io.index.output import Output
from ale.io.places import open_place


@dataclass(frozen=True, slots=True)
class Target:
    """Where the parts go, and the one file that they become in the end, if any."""

    url: str
    parts: Output
    file: str | None
    kind: Kind

    @classmethod
    def of(cls, url: str, given: Kind) -> Target:
        """An OUTPUT that ends like a file becomes one file; ConfigurationError where it is of another format."""
        fs, path = open_place(url)
        path = path.rstrip("/")
        kind = kind_of(path)
        if kind is None or fs.isdir(path):
            return cls(url, Output(fs, path, given.suffix), None, given)
        if kind.format != given.format:
            raise ConfigurationError(
                f"the input is {given.format}, so the output is too: {url} would be {kind.format}"
            )
        folder, _, name = path.rpartition("/")
        return cls(url, Output(fs, f"{folder}/.{name}.ale", kind.suffix), path, kind)

    def apart(self, files: list[InputFile]) -> list[InputFile]:
        """The files without those of the output, which may lie in the input's folder but not over it."""
        found = [file for file in files if not file.path.startswith(f"{self.parts.folder}/")]
        over = files[0].path if not found else self.file
        if over is not None and (not found or any(file.path == over for file in found)):
            raise ConfigurationError(f"the output would lie over the input: {over}")
        return found

    def begin(self, plan: dict[str, Any], *, restart: bool) -> dict[str, dict[str, Any]]:
        """The counts of the parts that are there already. ConfigurationError where something else lies there."""
        if restart:
            self.parts.forget()
        elif self._taken():
            raise ConfigurationError(f"{self.url} exists; name another output, or replace it with --restart")
        self.parts.begin(plan)
        return self.parts.done()

    def _taken(self) -> bool:
        """Whether the one file is there, and is not of a run that was stopped while it tidied up."""
        fs = self.parts.fs
        return self.file is not None and fs.exists(self.file) and not fs.exists(self.parts.folder)
