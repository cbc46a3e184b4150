"""One tuning of a project's encoder, on the labels of the last sync. Idempotent; may be killed anywhere.

It knows no queue and asks nobody: texts and labels come from the mirror, the result lies beside the checkpoints.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from ale.errors import CheckpointError
from ale.tuning.belief import Tuner
from ale.tuning.plan import Countdown
from ale.types import LabelSpace
from ml_backend.dataset import Dataset, build_dataset
from ml_backend.learning import seed_of
from ml_backend.reserve import reserve_under
from ml_backend.settings import Settings
from ml_backend.store import mirror
from ml_backend.store.database import Database
from ml_backend.store.schema import Project
from ml_backend.tuning.due import need
from ml_backend.tuning.kept import Kept, digests, keep, newest, read_weights

logger = logging.getLogger(__name__)

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a tuning works with."""

    settings: Settings
    db: Database
    project: Project
    space: LabelSpace
    tuner: Tuner

    def dataset(self) -> Dataset:
        """What a learn run would learn from: labels that measure train no encoder either."""
        key = self.project.key
        tasks, annotations = mirror.all_tasks(self.db, key), mirror.all_annotations(self.db, key)
        reserve = reserve_under(self.settings.audit_share, self.project)
        return build_dataset(tasks, annotations, self.space, reserve)

    def run(self, dataset: Dataset) -> Kept | None:
        """The tuning that was made, or that has read more now; None when none is due.

        Raises NotEnoughLabels, OutOfTime, and MissingExtra without torch.
        """
        kept = newest(self.settings, self.project.key, self.space.labels)
        wanted = need(dataset, kept)
        if wanted is None:
            return None
        if wanted.what == "read" and kept is not None:
            try:
                return self._read(kept, dataset)
            except CheckpointError as error:
                logger.warning("project %s: tuned weights: %s; tuning again", self.project.key, error)
        return self._tune(dataset)

    def _tune(self, dataset: Dataset) -> Kept:
        key, hashes = self.project.key, dataset.hashes
        texts = mirror.texts(self.db, key, sorted(set(hashes)))
        order = sorted(texts)  # a text may have gone since the ids were read; equal texts are read once
        at = {name: row for row, name in enumerate(order)}
        rows = np.array([i for i, row in enumerate(dataset.labelled.tolist()) if hashes[row] in at], np.int64)
        names = [hashes[row] for row in dataset.labelled[rows].tolist()]
        tuned = self.tuner.tune(
            [texts[name] for name in order],
            np.array([at[name] for name in names], np.int64),
            dataset.targets[rows],
            labels=len(self.space),
            groups=dataset.groups[rows],
            weights=dataset.weights[rows],
            seed=seed_of(key),
        )
        belief = tuned.belief
        facts = {
            "tuned_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "labels": len(rows),
            "texts": len(order),
            "steps": belief.steps,
            "kept": belief.kept,
            "seconds": round(belief.seconds, 1),
            "cut": belief.cut,
        }
        logger.info("project %s: tuned %s", key, facts)
        made = Kept(
            "", self.space.labels, digests(order), belief.pool, digests(names), dataset.targets[rows],
            belief.held_out, "", facts,
        )  # fmt: skip
        return keep(self.settings, key, made, tuned.arrays())

    def _read(self, kept: Kept, dataset: Dataset) -> Kept:
        """The same tuning, about what came since as well; as far as the time goes."""
        time = Countdown(self.settings.tune_s)
        texts = mirror.texts(self.db, self.project.key, kept.unread(dataset))
        reading = self.tuner.restored(read_weights(self.settings, self.project.key, kept.weights))
        names, logits = list(texts), [kept.logits]
        done = 0
        while done < len(names) and (not done or time.left > 0):
            part = names[done : done + CHUNK]
            logits.append(reading.logits([texts[name] for name in part]))
            done += len(part)
        hashes = np.concatenate([kept.hashes, digests(names[:done])])
        order = np.argsort(hashes, kind="stable")
        logger.info("project %s: the encoder of tuning %s read %d texts", self.project.key, kept.id, done)
        return keep(
            self.settings,
            self.project.key,
            replace(kept, hashes=hashes[order], logits=np.concatenate(logits)[order]),
        )
