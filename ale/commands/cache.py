"""Which encoder the commands use, and where they keep what it said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ale.io.embeddings import CachedEncoder


def cache_folder() -> Path:
    """Where embeddings and paid answers are kept when nothing else is said."""
    from platformdirs import user_cache_path

    return user_cache_path("ale-label-studio")


def cached_encoder(cache: Path) -> CachedEncoder:
    """The encoder of ALE_ENCODER, each text once."""
    from ale.io.embeddings import CachedEncoder, EmbeddingCache
    from ale.io.encoder import resolve_encoder

    raw = resolve_encoder()
    return CachedEncoder(raw, EmbeddingCache(cache / "embeddings", raw.name, raw.dimensions))
