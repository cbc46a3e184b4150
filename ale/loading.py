"""From a model folder to a model: the one place beside the command line that joins files and engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ale.cascade import Cascade
from ale.errors import CheckpointError
from ale.io.encoder import EMBEDDED, TakingTurns, resolve_for
from ale.io.model_folder import read_model
from ale.io.runtime import Runtime
from ale.model import Classified, Model
from ale.scanner.texts import Texts


def load(folder: str | Path, threads: int = 2, runtime: Runtime = Runtime.FLOAT32) -> Model:
    """The model in a folder or at a URL. CheckpointError when it is damaged, too new or too old.

    The encoder's own weights are read at the first text that is deferred to it; `runtime` computes it.
    """
    arrays, manifest = read_model(str(folder))
    source = str(manifest.get("encoder_source", EMBEDDED))
    encoder = TakingTurns(resolve_for(runtime, source, threads))
    try:
        return Model.from_state(arrays, manifest, encoder)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A model's answers, given in whatever process this is sent to: there it is read once, by its folder or URL."""

    folder: str
    version: str
    cascade: Cascade
    threshold: float | None
    runtime: Runtime = Runtime.FLOAT32

    def __call__(self, texts: Texts, heard: Callable[[int], None]) -> Classified:
        """See `Model.classify`. Raises CheckpointError where another model lies there."""
        model = _kept(self.folder, self.runtime)
        if model.version != self.version:
            raise CheckpointError(f"{self.folder} holds version {model.version} here, not {self.version}")
        return model.classify(texts, self.cascade, heard, threshold=self.threshold)


@lru_cache(maxsize=2)
def _kept(folder: str, runtime: Runtime) -> Model:
    return load(folder, runtime=runtime)
