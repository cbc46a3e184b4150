"""What the version in force believes about each text, read from its checkpoint once per process.

/predict never runs a model: the worker stores the calibrated probabilities of every text of the pool beside
the student, and here a text is found by a binary search over its hash.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from ale.errors import CheckpointError
from ale.io.checkpoints import list_versions, load_checkpoint
from ale.types import LabelSpace
from ml_backend.unaided import unaided_of

logger = logging.getLogger(__name__)

HASHES, PROBS, SCORES = "belief_hashes", "belief_probs", "belief_scores"
WAIT_S = 2.0
"""How long a request waits while another loads the version; then it takes what was read before."""
RETRY_S = 5.0
"""A version that could not be read is tried again after this; an object store may have been away."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Calibrated probabilities of one text (in the order of the version's labels), and its published score."""

    probs: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class PublishedBeliefs:
    """All beliefs of one version. `hashes` is sorted; row i of all others is about `hashes[i]`.

    `unaided` is `probs` without what audit labels did to the temperature: only this may choose what is asked next.
    """

    version: str
    labels: tuple[str, ...]
    hashes: NDArray[np.bytes_]
    probs: NDArray[np.float32]
    scores: NDArray[np.float32]
    unaided: NDArray[np.float32]

    @property
    def labels_fingerprint(self) -> str:
        """Of the labels that this version answers with."""
        return LabelSpace(self.labels).labels_fingerprint

    def find(self, text_hash: str) -> Belief | None:
        """The belief about the text of that hash; None when the version has not seen the text."""
        wanted = np.frombuffer(bytes.fromhex(text_hash), dtype="S16")[0]
        at = int(np.searchsorted(self.hashes, wanted))
        if at == len(self.hashes) or self.hashes[at] != wanted:
            return None
        return Belief(self.probs[at], float(self.scores[at]))


@dataclass(frozen=True, slots=True)
class _Tried:
    version: str
    at: float
    beliefs: PublishedBeliefs | None

    @property
    def good(self) -> bool:
        return self.beliefs is not None and self.beliefs.version == self.version


def _serves(last: _Tried | None, version: str) -> TypeGuard[_Tried]:
    """Whether what was tried last is still the answer for that version."""
    return (
        last is not None and last.version == version and (last.good or time.monotonic() - last.at <= RETRY_S)
    )


class BeliefsReader:
    """Published beliefs by project, for the last few projects that were asked about. Safe among threads."""

    def __init__(self, root: str, *, projects: int = 8) -> None:
        self._root, self._projects = root, projects
        self._tried: OrderedDict[str, _Tried] = OrderedDict()
        self._lock = Lock()
        self._loading: dict[str, Lock] = {}

    def read(self, project: str, version: str) -> PublishedBeliefs | None:
        """The beliefs of that version. Where its checkpoint is missing or damaged: those of the last version
        that can be read, else None; this is logged, and the version is tried again a little later.
        """
        last = self._last(project)
        if _serves(last, version):
            return last.beliefs
        loading = self._loading.setdefault(project, Lock())
        # A store that hangs holds one request; the others answer from what is there.
        if not loading.acquire(timeout=WAIT_S):
            return last.beliefs if last else None
        try:
            last = self._last(project)
            if not _serves(last, version):
                last = self._keep(project, _Tried(version, time.monotonic(), self._load(project, version)))
            return last.beliefs
        finally:
            loading.release()

    def _last(self, project: str) -> _Tried | None:
        with self._lock:
            if project in self._tried:
                self._tried.move_to_end(project)
            return self._tried.get(project)

    def _keep(self, project: str, tried: _Tried) -> _Tried:
        with self._lock:
            self._tried[project] = tried
            self._tried.move_to_end(project)
            while len(self._tried) > self._projects:
                self._tried.popitem(last=False)
        return tried

    def _load(self, project: str, version: str) -> PublishedBeliefs | None:
        beliefs = self._read(project, version)
        if beliefs is not None:
            return beliefs
        try:
            others = list_versions(self._root, project)
        except OSError:
            others = []
        older = (self._read(project, other) for other in reversed(others) if other != version)
        beliefs = next((found for found in older if found is not None), None)
        if beliefs:
            logger.warning("project %s: %s answers in place of %s", project, beliefs.version, version)
        return beliefs

    def _read(self, project: str, version: str) -> PublishedBeliefs | None:
        try:
            arrays, manifest = load_checkpoint(self._root, project, version)
            return _published(version, arrays, manifest["labels"])
        except (CheckpointError, OSError, KeyError, ValueError) as error:
            logger.warning("project %s: version %s cannot be read: %s", project, version, error)
            return None


def _published(version: str, arrays: dict[str, NDArray[np.generic]], labels: list[str]) -> PublishedBeliefs:
    if not {HASHES, PROBS, SCORES} <= arrays.keys():
        nothing = np.zeros((0, len(labels)), np.float32)
        empty = np.zeros(0, "S16"), nothing, np.zeros(0, np.float32)
        return PublishedBeliefs(version, tuple(labels), *empty, nothing)
    hashes = np.ascontiguousarray(arrays[HASHES], dtype=np.uint8)
    probs = np.asarray(arrays[PROBS], dtype=np.float32)
    scores = np.asarray(arrays[SCORES], dtype=np.float32)
    if hashes.shape != (len(scores), 16) or probs.shape != (len(scores), len(labels)):
        raise ValueError(f"belief arrays of shapes {hashes.shape}, {probs.shape}, {scores.shape} do not fit")
    names = hashes.view("S16").ravel()
    return PublishedBeliefs(version, tuple(labels), names, probs, scores, unaided_of(arrays, names, probs))
