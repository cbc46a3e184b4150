"""One learn run: sync, learn, rank, publish, review. Idempotent; called by the worker, knows no queue.

It only orders the steps, each of which has a file of its own; it is long because they are many and share one state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from ale.engine import Learned, learn
from ale.io.checkpoints import prune
from ale.students import TransformerStudent
from ale.types import Embeddings, LabelSpace, Probs
from ml_backend import publish as publishing
from ml_backend.auditing import audit_counts
from ml_backend.building import build_version
from ml_backend.controls import Control
from ml_backend.dataset import Dataset, build_dataset, fingerprint_labels
from ml_backend.label_studio import Json, LabelStudioClient
from ml_backend.learn_due import all_is_due, learning_is_due, why_wait
from ml_backend.learn_input import learn_input
from ml_backend.learning import Learning
from ml_backend.opinions import NOBODY, Opinion, beaten, opinion
from ml_backend.placing import (
    Place,
    head_fingerprint,
    now_and_later,
    places,
    rows_of,
    unranked_places,
)
from ml_backend.questions import wanted
from ml_backend.reach import move
from ml_backend.reserve import Reserve, reserve_under
from ml_backend.review_flags import decide, show_flags, update_flags
from ml_backend.reviewed import Reviewed, fingerprint_reviews, review_counts, reviewed_in
from ml_backend.second_opinions import (
    NOTHING_SAID,
    Said,
    choose,
    open_and_close,
    people_counts,
    placed_among,
    said_of,
    settle_asked,
)
from ml_backend.settings import Settings
from ml_backend.stopping import stop_counts
from ml_backend.store import decisions, mirror, projects, versions
from ml_backend.store.database import Database
from ml_backend.store.schema import Project, Task, Version
from ml_backend.sync import sync
from ml_backend.trusting import student_by_label, trust_in
from ml_backend.tuning.counted import student_counts
from ml_backend.tuning.due import Need, need
from ml_backend.tuning.kept import Kept, newest
from ml_backend.tuning.switch import tunes

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LearnRun:
    """One run over one project. `seconds` and `counts` end up in the run's row, for `ale status`."""

    settings: Settings
    db: Database
    client: LabelStudioClient
    learning: Learning
    project: Project
    control: Control
    space: LabelSpace
    fence: int
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    teach_more: bool = False
    """Texts are left that have no embedding or no teacher's answer yet."""
    tuning: Need | None = None
    """What the encoder's tuning is due for, when it is."""
    _opinion: Opinion = field(default=NOBODY, init=False)
    _kept: Kept | None = field(default=None, init=False)
    _said: Said = field(default=NOTHING_SAID, init=False)
    _again: bool = field(default=False, init=False)
    _payback: Callable[[Json | None], Json] | None = field(default=None, init=False)

    def run(self, theirs: Json, *, force: bool = False) -> tuple[str, str]:
        """Outcome and reason, as in the run table. `theirs` is Label Studio's fresh description."""
        with self._timed("sync"):
            sync(self.db, self.client, self.project, theirs, self.control)
        tasks = list(mirror.all_tasks(self.db, self.project.key))
        annotations = mirror.all_annotations(self.db, self.project.key)
        with self._timed("decide"):
            decide(self.db, self.project.key, tasks, annotations)
        pool, raw = self._embedded(tasks)
        again = self.settings.second_opinion > 0 and int(theirs.get("maximum_annotations") or 1) == 1
        waits = settle_asked(self.db, self.project.key, tasks, annotations, on=again)
        move(self.db, self.project, self._reserve, tasks, annotations)
        dataset = build_dataset(pool, annotations, self.space, self._reserve, waits)
        self._said = said_of(dataset, annotations, self.space)
        self._again = again
        teacher = self._teacher(dataset)
        self._take_tuning(dataset)
        self.counts |= {
            "labels": len(dataset.labelled) + len(dataset.audit.rows),
            "pool": len(dataset.tasks),
            "excluded": dataset.excluded,
        }

        current = versions.find(self.db, self.project.key, self.project.version)
        decided = decisions.every(self.db, self.project.key)
        reviews = fingerprint_reviews(decided, self.settings.review_precision)
        content = fingerprint_labels(dataset, self.space, self.learning.recipe | {"reviews": reviews})
        waiting = self._waiting(current, dataset, teacher)
        if waiting:
            return "not_ready", waiting
        if current is not None and not (force or self._due(current, content)):
            outcome = self._fill(current, tasks, dataset, raw, teacher)
        else:
            reviewed = reviewed_in(decided, dataset, self.space)
            outcome = self._learn(current, tasks, dataset, raw, teacher, content, reviewed)
        if outcome[0] != "published":
            theirs = self.client.project(self.project.project_id) if outcome[0] == "filled" else theirs
            self.counts["order_put_right"] = publishing.hold_order(self.client, self.project, theirs)
        with self._timed("review"):
            # Also when nothing was learnt: a person may have decided, and the tab should say so at once.
            self.counts["flags_written"] = show_flags(self.db, self.client, self.project, self.control)
        asked = open_and_close(self.db, self.client, self.project.key)
        if asked:
            self.counts["second_opinions"] = asked
        if self._payback is not None:
            with self._timed("payback"):  # it may fit once more: after all that somebody waits for
                last = versions.newest_count(self.db, self.project.key, "payback")
                self.counts["payback"] = self._payback(last)
        return outcome

    @property
    def _reserve(self) -> Reserve | None:
        """The tasks that measure; None when nothing is audited."""
        return reserve_under(self.settings.audit_share, self.project)

    @property
    def _audit_changes(self) -> bool:
        """Whether the reserve is to come into force, or to go."""
        return (self._reserve is None) != (self.project.audit_since is None)

    # -- reading what is there -----------------------------------------------------------------------

    def _embedded(self, tasks: list[Task]) -> tuple[list[Task], Embeddings]:
        """The tasks whose text has an embedding (others wait for the teach job), with their raw rows."""
        with self._timed("embeddings"):
            usable = [task for task in tasks if task.text_hash is not None]
            rows, found = self.learning.cache.lookup([task.text_hash or "" for task in usable])
        self.counts["not_embedded"] = int((~found).sum())
        self.counts["no_text"] = len(tasks) - len(usable)
        self.teach_more = bool((~found).any())
        with_text = [task for task, there in zip(usable, found, strict=True) if there]
        return with_text + [t for t in tasks if t.text_hash is None], rows[found]

    def _teacher(self, dataset: Dataset) -> Probs | None:
        """What the teachers together say about the pool."""
        with self._timed("opinions"):
            found = self._opinion = opinion(self.db, self.learning.teachers, self.space, dataset)
            self.counts |= found.counts
            still = wanted(self.settings, self.db, self.project, self.space, dataset, found)
        if self.project.teacher_problem and not still:
            projects.change(self.db, self.project.key, teacher_problem="")
            self.project.teacher_problem = ""
        free = [voice.asked for voice in found.voices if not voice.teacher.paid]
        self.teach_more |= any(not asked.all() for asked in free)
        self.teach_more |= any(entry.hashes for entry in still)
        # Also when nothing may be asked: the step writes down why.
        self.teach_more |= any(
            entry.problem != self.project.teacher_problem for entry in still if entry.problem
        )
        return found.probs

    def _take_tuning(self, dataset: Dataset) -> None:
        """Let the student hear the last tuning, whose id becomes a part of the recipe: a new one is learnt once."""
        if not tunes(self.settings):
            return
        with self._timed("tuned"):
            kept = self._kept = newest(self.settings, self.project.key, self.space.labels)
            # Texts without an embedding are in no data set yet: they would look like labels that were taken back.
            self.tuning = None if self.counts["not_embedded"] else need(dataset, kept)
            if kept is not None:
                student = partial(TransformerStudent, kept.belief(dataset))
                recipe = self.learning.recipe | {"tuning": kept.id}
                self.learning = replace(self.learning, student=student, recipe=recipe)

    def _waiting(self, current: Version | None, dataset: Dataset, teacher: Probs | None) -> str:
        """Why it is better to wait for the teach job than to publish now; empty when it is not."""
        if current is not None or not self.teach_more:
            return ""
        return why_wait(self.learning, self.project, dataset, teacher)

    @property
    def _first_pass(self) -> bool:
        """Whether more answers or embeddings are on their way; a teacher that can not go on is not waited for."""
        return self.teach_more and not (self.project.teacher_problem and not self.counts["not_embedded"])

    def _due(self, current: Version, content: str) -> bool:
        return learning_is_due(
            self.project,
            current,
            content,
            self.counts.get("teacher_answers", 0),
            first_pass=self._first_pass,
            audit_changes=self._audit_changes,
        )

    # -- the two ways to publish ---------------------------------------------------------------------

    def _fill(
        self, current: Version, tasks: list[Task], dataset: Dataset, raw: Embeddings, teacher: Probs | None
    ) -> tuple[str, str]:
        """Nothing to learn: give tasks that were imported since a place in the version in force."""
        new = [t for t in tasks if t.placed_in is None and not t.is_labeled]
        if not new:
            return "unchanged", ""
        with self._timed("fill"):
            found = unranked_places(
                self.settings, self.project, current, new, dataset, raw, teacher, self._reserve
            )
            rows = rows_of(found, self.control, self.space, current.version)
            added = publishing.fill(self.db, self.client, self.project, current, rows)
        self.counts["filled"] = added
        return ("filled", "") if added else ("unchanged", "")

    def _learn(
        self,
        current: Version | None,
        tasks: list[Task],
        dataset: Dataset,
        raw: Embeddings,
        teacher: Probs | None,
        content: str,
        reviewed: Reviewed,
    ) -> tuple[str, str]:
        given = learn_input(
            self.settings, self.learning, self.project, self.space, dataset, raw, teacher, reviewed
        )
        with self._timed("learn"):
            learned = learn(given)
        self.counts |= self._learned_counts(dataset, learned)
        figures = beaten(self._opinion, learned.held_out, dataset)
        if figures != self.project.teacher_beaten:
            projects.change(self.db, self.project.key, teacher_beaten=figures)
        kind = "student" if learned.student is not None else "teacher" if teacher is not None else "none"
        found, queue = places(dataset, learned), learned.ranking.queue
        if self._again:
            share = self.settings.second_opinion
            asked = choose(self.db, self.project, dataset, learned, self._said, share)
            found, queue = placed_among(found, asked, queue), queue + len(asked)
        if people := people_counts(self._said, learned, dataset):
            self.counts["people"] = people
        whole = self._whole(current, kind)
        head_size = max(queue, self.settings.batch)
        now, later = now_and_later(found, tasks, head_size, whole=whole, first=current is None)
        head = head_fingerprint(found[:queue])
        if current is not None and not later and current.head == head and not any(p.new for p in now):
            projects.change(self.db, self.project.key, content_hash=content)
            outcome = "unchanged", "the head of the queue stayed as it was"
        else:
            self._publish(current, dataset, learned, kind, now, later, head, content)
            outcome = "published", learned.reasons.get("student", "")
        if self._audit_changes:
            # After the flip: from here on no task of the reserve shows a suggestion.
            since = datetime.now(UTC) if self._reserve is not None else None
            projects.change(self.db, self.project.key, audit_since=since)
        if whole and not self._first_pass:  # else the pool was not yet all there
            projects.change(self.db, self.project.key, full_publish_at=datetime.now(UTC))
        update_flags(self.db, self.project.key, dataset, learned.issues, self.space)
        self._payback = partial(review_counts, given, learned, reviewed)
        return outcome

    def _learned_counts(self, dataset: Dataset, learned: Learned) -> Json:
        """What the run's row says of the student, the teachers and the audit."""
        probs = None if learned.student is None else learned.probs
        found: Json = {"metrics": learned.metrics, "reasons": learned.reasons}
        found["trust"] = trust_in(self._opinion, learned.held_out, self.space, dataset, probs)
        found["by_label"] = student_by_label(learned.held_out, self.space, dataset, probs)
        if self._reserve is not None:
            found["audit"] = audit_counts(learned.audit, self._opinion, dataset)
        if learned.student is not None:
            found["student"] = student_counts(learned.student, self._kept)
            found["stop"] = stop_counts(
                self.db, self.project.key, self.space, self.learning.recipe, dataset, learned.probs
            )
        return found

    def _whole(self, current: Version | None, kind: str) -> bool:
        return all_is_due(
            self.settings,
            self.project,
            current,
            kind,
            self.space,
            first_pass=self._first_pass,
            audit_changes=self._audit_changes,
        )

    def _publish(
        self,
        current: Version | None,
        dataset: Dataset,
        learned: Learned,
        kind: str,
        now: list[Place],
        later: list[Place],
        head: str,
        content: str,
    ) -> None:
        with self._timed("checkpoint"):
            version = build_version(
                self.settings,
                self.db,
                self.client,
                self.learning,
                self.project,
                space=self.space,
                dataset=dataset,
                learned=learned,
                kind=kind,
                head=head,
                answers=self.counts.get("teacher_answers", 0),
                fence=self.fence,
                content=content,
            )
        self.counts |= {
            "version": version.version,
            "rows": len(now) + len(later),
            "whole": not current or bool(later),
        }
        there = (self.db, self.client, self.project, version)
        with self._timed("publish"):
            rows = rows_of(now, self.control, self.space, version.version)
            publishing.publish(*there, rows, fence=self.fence, content_hash=content)
        if later:
            with self._timed("extend"):
                rows = rows_of(later, self.control, self.space, version.version)
                publishing.extend(*there, rows, fence=self.fence)
        keep = frozenset({version.version, current.version} if current else {version.version})
        prune(self.settings.checkpoints, self.project.key, self.settings.keep_versions, keep)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = round(perf_counter() - start, 3)
