"""What a tuning said, kept by text hash beside the checkpoints: whole or not at all, never pickled.

<checkpoints>/tunings/beliefs/<project>/<id> is what each learn run reads, some megabytes; <checkpoints>/tunings/weights
holds the tuned layers, for texts that come later.

Labels go on coming while an encoder is tuned, and some are taken back. Each text is therefore believed what was said
of it without its own label: a labelled one by the cross-tuning that had not seen it, one that was labelled since
by the last tuning, which had not seen it either. A text whose label was learnt and stands no more falls back to its
cross-tuning: it may measure now.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError
from ale.io.checkpoints import list_versions, load_checkpoint, prune, save_checkpoint
from ale.students import TransformerStudent
from ale.tuning.belief import Logits, TunedBelief
from ml_backend.dataset import Dataset
from ml_backend.settings import Settings

logger = logging.getLogger(__name__)

KEEP = 2
"""Of each project: a learn run may be reading the last but one."""

_BELIEFS, _WEIGHTS = "beliefs", "weights"
_ARRAYS = ("hashes", "logits", "learnt_hashes", "learnt_targets", "held_out")

Hashes = NDArray[np.bytes_]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """`logits[i]` is about the text of `hashes[i]` (sorted), `held_out[i]` about that of `learnt[i]`, from tunings
    without it; `targets[i]` was its label. `weights` names the tuned layers; `facts` tell a reader of the tuning.
    """

    id: str
    labels: tuple[str, ...]
    hashes: Hashes
    logits: Logits
    learnt: Hashes
    targets: NDArray[np.int64]
    held_out: Logits
    weights: str
    facts: Mapping[str, Any]

    def belief(self, dataset: Dataset) -> TunedBelief:
        """About the rows of a data set; NaN where no tuning has read the text."""
        now = digests(dataset.hashes)
        pool = _looked_up(now, self.hashes, self.logits)
        learnt, first = np.unique(self.learnt, return_index=True)
        blind = _looked_up(now, learnt, self.held_out[first])
        once = np.isin(now, learnt)
        withdrawn = once & ~np.isin(now, now[dataset.labelled])
        pool[withdrawn] = blind[withdrawn]
        rows = dataset.labelled
        held_out = np.where(once[rows, None], blind[rows], pool[rows])
        return TunedBelief(held_out, pool, int(self.facts["steps"]), float(self.facts["kept"]), 0.0)

    def changed(self, dataset: Dataset) -> int:
        """How many texts have another label than the tuning learnt, or one and had none, or none and had one."""
        then = set(zip(self.learnt.tolist(), self.targets.tolist(), strict=True))
        hashes = digests(dataset.hashes)[dataset.labelled].tolist()
        now = set(zip(hashes, dataset.targets.tolist(), strict=True))
        return len({text for text, _ in then ^ now})

    def unread(self, dataset: Dataset) -> list[str]:
        """Hashes of texts that it has not read, in the order of the tasks, each once."""
        known = np.isin(digests(dataset.hashes), self.hashes)
        return list(
            dict.fromkeys(name for name, there in zip(dataset.hashes, known, strict=True) if not there)
        )


def keep(
    settings: Settings, project: str, made: Kept, weights: Mapping[str, NDArray[Any]] | None = None
) -> Kept:
    """Stores it under a new id, after its weights when they are new, and forgets what is older than the last two."""
    number = 1 + max((int(name.split("-")[0]) for name in _ids(settings, project)), default=0)
    digest = hashlib.sha256()
    for array in (made.hashes, made.logits, made.learnt, made.targets):
        digest.update(np.ascontiguousarray(array).tobytes())
    name = f"{number:04d}-{digest.hexdigest()[:8]}"
    manifest: dict[str, Any] = {"labels": list(made.labels), "student": TransformerStudent.kind}
    if weights is not None:
        save_checkpoint(_root(settings, _WEIGHTS), project, name, weights, manifest)
    arrays: dict[str, NDArray[Any]] = {
        "hashes": _bytes(made.hashes),
        "logits": made.logits,
        "learnt_hashes": _bytes(made.learnt),
        "learnt_targets": made.targets,
        "held_out": made.held_out,
    }
    weights_id = made.weights if weights is None else name
    manifest |= {"weights": weights_id, "facts": dict(made.facts)}
    save_checkpoint(_root(settings, _BELIEFS), project, name, arrays, manifest)
    prune(_root(settings, _BELIEFS), project, KEEP)
    prune(_root(settings, _WEIGHTS), project, KEEP, frozenset({weights_id}))
    return Kept(
        name, made.labels, made.hashes, made.logits, made.learnt, made.targets, made.held_out, weights_id, made.facts
    )  # fmt: skip


def newest(settings: Settings, project: str, labels: Sequence[str]) -> Kept | None:
    """The last tuning for these labels that can be read; a damaged one is passed over, with a warning."""
    for name in reversed(_ids(settings, project)):
        try:
            found = _read(name, *load_checkpoint(_root(settings, _BELIEFS), project, name))
        except (CheckpointError, OSError, KeyError, ValueError) as error:
            logger.warning("project %s: tuning %s cannot be read: %s", project, name, error)
            continue
        if found.labels == tuple(labels):
            return found
    return None


def read_weights(settings: Settings, project: str, name: str) -> dict[str, NDArray[Any]]:
    """The tuned layers; CheckpointError when they are missing or damaged."""
    return load_checkpoint(_root(settings, _WEIGHTS), project, name)[0]


def digests(hashes: Sequence[str]) -> Hashes:
    """Text hashes as one array."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), "S16")


def _ids(settings: Settings, project: str) -> list[str]:
    return sorted(list_versions(_root(settings, _BELIEFS), project))


def _root(settings: Settings, what: str) -> str:
    return f"{settings.checkpoints}/tunings/{what}"


def _read(name: str, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> Kept:
    hashes, logits, learnt, targets, held_out = (arrays[part] for part in _ARRAYS)
    labels = tuple(manifest["labels"])
    shapes = {
        "hashes": (len(logits), 16),
        "logits": (len(logits), len(labels)),
        "learnt_hashes": (len(targets), 16),
        "held_out": (len(targets), len(labels)),
    }
    if {part: arrays[part].shape for part in shapes} != shapes:
        raise ValueError(f"arrays of shapes {[arrays[part].shape for part in _ARRAYS]} do not fit")
    return Kept(
        name, labels, _as_hashes(hashes), logits, _as_hashes(learnt), targets, held_out,
        str(manifest["weights"]), manifest["facts"],
    )  # fmt: skip


def _looked_up(wanted: Hashes, there: Hashes, rows: Logits) -> Logits:
    """Rows by hash, NaN for one that is not there; `there` is sorted."""
    found = np.full((len(wanted), rows.shape[1]), np.nan, np.float32)
    if len(there):
        at = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
        hits = there[at] == wanted
        found[hits] = rows[at[hits]]
    return found


def _bytes(hashes: Hashes) -> NDArray[np.uint8]:
    return np.frombuffer(hashes.tobytes(), np.uint8).reshape(-1, 16)


def _as_hashes(array: NDArray[Any]) -> Hashes:
    return np.ascontiguousarray(array, dtype=np.uint8).view("S16").ravel()
