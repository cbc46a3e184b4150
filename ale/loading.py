"""From a model folder to a model: the one place beside the command line that joins files and engine."""

from __future__ import annotations

from pathlib import Path

from ale.errors import CheckpointError
from ale.io.encoder import EMBEDDED, TakingTurns, resolve_encoder
from ale.io.model_folder import read_model
from ale.model import Model


def load(folder: str | Path, threads: int = 2) -> Model:
    """The model in a folder or at a URL. CheckpointError when it is damaged, too new or too old.

    The encoder's own weights are read at the first text that is deferred to it.
    """
    arrays, manifest = read_model(str(folder))
    encoder = TakingTurns(resolve_encoder(str(manifest.get("encoder_source", EMBEDDED)), threads))
    try:
        return Model.from_state(arrays, manifest, encoder)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
