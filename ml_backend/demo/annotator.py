"""A simulated annotator: asks Label Studio for the next task and answers as the editor does, now and then wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_backend.controls import Control
from ml_backend.label_studio import Json, LabelStudioClient

_ORDERED_QUEUE = "Active learning or random queue"


@dataclass(frozen=True, slots=True)
class AutoPlan:
    """What to simulate: how many labels, with which seed, how quickly, how many of them wrong."""

    labels: int
    seed: int = 1
    pace_s: float = 0.4
    wrong: float = 0.1
    json_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One label that was given."""

    task_id: int
    meant: str
    given: str
    suggested: str | None
    created_at: datetime
    in_order: bool | None
    """Served as the published ranking says; None when that could not be told (it changed meanwhile)."""

    @property
    def planted(self) -> bool:
        """Wrong on purpose."""
        return self.meant != self.given


class Ranking:
    """The published order of one version, as its rows in Label Studio say: lowest score first."""

    def __init__(self, client: LabelStudioClient, project_id: int, version: str) -> None:
        rows = [row for row in client.predictions(project_id) if row["model_version"] == version]
        self.scores = {int(row["task"]): float(row["score"]) for row in rows}

    def head(self, without: set[int]) -> list[int]:
        """Tasks that are left, the one to ask first at the front."""
        left = [task for task in self.scores if task not in without]
        return sorted(left, key=lambda task: (self.scores[task], task))

    def is_next(self, task_id: int, without: set[int]) -> bool:
        """Whether no task that is left has a lower score (equal scores may come in any order)."""
        lowest = min((score for task, score in self.scores.items() if task not in without), default=None)
        return lowest is None or self.scores.get(task_id) == lowest


class Annotator:
    """Labels tasks in the order in which Label Studio hands them out."""

    def __init__(
        self,
        client: LabelStudioClient,
        project_id: int,
        control: Control,
        meant: dict[str, str],
        plan: AutoPlan,
    ) -> None:
        self._client = client
        self._project = project_id
        self._control = control
        self._meant = meant
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._done: set[int] = set()
        self.rankings: dict[str, Ranking] = {}

    def answers(self) -> Iterator[Answer]:
        """Give the labels one by one, with the pace between them; ends early when no task is left."""
        for planted in _mistakes(self._plan, self._rng):
            start = time.monotonic()
            before = self._version()
            task = self._client.next_task(self._project)
            if task is None:
                return
            in_order = self._in_order(task, before)
            yield self._answer(task, planted=planted, in_order=in_order)
            time.sleep(max(0.0, self._plan.pace_s - (time.monotonic() - start)))

    def _version(self) -> str:
        return str(self._client.project(self._project)["model_version"] or "")

    def _in_order(self, task: Json, version: str) -> bool | None:
        """Compare what was served with the published scores; a page's own lock or a flip makes it unknown."""
        if version and version not in self.rankings:
            self.rankings[version] = Ranking(self._client, self._project, version)
        if not version or task.get("queue") != _ORDERED_QUEUE or self._version() != version:
            return None
        return self.rankings[version].is_next(int(task["id"]), self._done)

    def _answer(self, task: Json, *, planted: bool, in_order: bool | None) -> Answer:
        meant = self._meant[task["data"][self._control.field]]
        others = [label for label in self._control.label_space.labels if label != meant]
        given = self._rng.choice(others) if planted else meant
        shown = (task.get("predictions") or [None])[0]
        suggested = self._control.read_label(shown["result"]) if shown else None
        saved = self._client.annotate(
            int(task["id"]), **submission(self._control, given, shown, self._rng.uniform(1.5, 6.0))
        )
        self._done.add(int(task["id"]))
        created = datetime.fromisoformat(saved["created_at"])
        return Answer(int(task["id"]), meant, given, suggested, created, in_order)


def submission(control: Control, label: str, shown: Json | None, lead_time_s: float) -> dict[str, Any]:
    """The body that the editor posts when a label is submitted with the suggestion `shown` on the page."""
    suggested = control.read_label(shown["result"]) if shown else None
    item = dict(control.region(label, None))
    item.pop("score", None)
    if suggested is None:
        item["origin"] = "manual"
    else:
        item["origin"] = "prediction" if suggested == label else "prediction-changed"
    return {
        "result": [item],
        "lead_time": round(lead_time_s, 3),
        "draft_id": 0,
        "parent_prediction": shown["id"] if shown else None,
        "parent_annotation": None,
    }


def _mistakes(plan: AutoPlan, rng: random.Random) -> list[bool]:
    """Which answers are wrong on purpose: their share is exact, their places are random."""
    wrong = round(plan.labels * plan.wrong)
    found = [True] * wrong + [False] * (plan.labels - wrong)
    rng.shuffle(found)
    return found
