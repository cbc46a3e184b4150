"""Served predictions in SQL: what is kept by which policy, feedback, traces, drift by day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from typer.testing import CliRunner

from ml_backend.capturing import keep_traces
from ml_backend.cli import app
from ml_backend.serving.app import Serving, create_app
from ml_backend.serving.capture import Capture, Policy
from ml_backend.serving.meters import Meters
from ml_backend.serving.options import Options
from ml_backend.store import served
from ml_backend.store.database import Database
from ml_backend.store.schema import Feedback, Served

pytest.importorskip("numba", reason="pip install 'ale-label-studio[index]'")

from ale.io.traces import read_traces
from tests.unit.ml_backend.test_serving import MODEL, TEXTS


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    """An empty database, on SQLite and on Postgres."""
    db = Database(database_url)
    yield db
    db.dispose()


class Kept:
    """A served model with a policy, and what it has kept so far."""

    def __init__(self, db: Database, **policy: Any) -> None:
        self.db = db
        counts = Meters(MODEL.version, MODEL.labels)
        how = Policy("shop", **policy)
        self.capture = Capture(db, how, MODEL.version, lambda what, n: counts.captured.labels(what).inc(n))
        self.client: FlaskClient = create_app(Serving(MODEL, Options(), self.capture, counts)).test_client()

    def classify(self, texts: list[str]) -> dict[str, Any]:
        """The answer."""
        answer = self.client.post("/v1/classify", json={"texts": texts})
        assert answer.status_code == 200
        return answer.json or {}

    def rows(self) -> list[Served]:
        """What is kept, once all is written."""
        self.capture.close()
        with self.db.session() as session:
            return [*session.scalars(select(Served).order_by(Served.request_id, Served.item))]


def test_all_is_kept_with_its_text(store: Database) -> None:
    """Request, place, label, confidence, version, text; the counter says so."""
    kept = Kept(store, share=1.0, texts=True)
    told = kept.classify(TEXTS)
    rows = kept.rows()
    assert [(row.request_id, row.item, row.text) for row in rows] == [
        (told["request_id"], place, text) for place, text in enumerate(TEXTS)
    ]
    assert [row.label for row in rows] == [one["label"] for one in told["results"]]
    assert {(row.service, row.model_version, row.drawn) for row in rows} == {("shop", "abc123", True)}
    assert f'captured_total{{outcome="kept"}} {len(TEXTS)}.0' in kept.client.get("/metrics").text


def test_without_leave_no_text_is_kept(store: Database) -> None:
    """Neither that of the request nor that of feedback; feedback's label and comment are."""
    kept = Kept(store, share=1.0)
    told = kept.classify(TEXTS[:1])
    given = {
        "request_id": told["request_id"],
        "thumbs": "down",
        "label": "praise",
        "comment": "no",
        "text": TEXTS[0],
    }
    assert kept.client.post("/v1/feedback", json=given).status_code == 201
    assert [row.text for row in kept.rows()] == [None]
    with store.session() as session:
        (said,) = session.scalars(select(Feedback))
        assert (said.thumbs, said.label, said.comment, said.text) == ("down", "praise", "no", None)
    assert served.waiting(store, None, 10) == []


def test_a_share_is_drawn_and_unsure_ones_are_kept_beside(store: Database) -> None:
    """About the share is drawn whatever the confidence; below the bound all are kept, and marked as not drawn."""
    kept = Kept(store, share=0.3, below=0.8, texts=True)
    answers = [kept.classify(TEXTS)["results"] for _ in range(50)]
    rows = kept.rows()
    drawn = sum(row.drawn for row in rows)
    assert abs(drawn - 300) < 75, "five deviations"
    unsure = sum(one["confidence"] < 0.8 for results in answers for one in results)
    assert sum((row.confidence or 0) < 0.8 for row in rows) == pytest.approx(unsure, abs=1)
    assert all((row.confidence or 0) < 0.8 for row in rows if not row.drawn)


def test_the_last_word_counts_and_old_ones_are_forgotten(store: Database) -> None:
    """Feedback comes first; what is taken is not offered again; after its time nothing is left of it."""
    kept = Kept(store, share=1.0, texts=True)
    told = kept.classify(TEXTS[:3])
    for thumbs in ("up", "down"):
        body = {"request_id": told["request_id"], "item": 1, "thumbs": thumbs}
        assert kept.client.post("/v1/feedback", json=body).status_code == 201
    kept.rows()
    found = served.waiting(store, "shop", 10)
    assert {(one.item, one.thumbs) for one in found} == {(0, ""), (1, "down"), (2, "")}
    served.take(store, "p", "task", [(told["request_id"], 1)])
    assert {one.item for one in served.waiting(store, None, 10)} == {0, 2}
    assert served.waiting(store, "other", 10) == []
    assert served.forget(store, "shop", datetime.now(UTC) + timedelta(days=1)) == 3
    with store.session() as session:
        assert session.scalars(select(Feedback)).all() == []


def test_traces_are_kept_once(store: Database, tmp_path: Path) -> None:
    """However often the file is read."""
    lines = [
        {"input": f"text {n}", "output": "praise", "feedback": n % 2, "time": "2026-01-01"} for n in range(7)
    ]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0], {"input": 1}]))
    assert keep_traces(store, read_traces(str(path))) == (7, 1, 1)
    assert keep_traces(store, read_traces(str(path))) == (0, 8, 1)
    assert sorted(one.thumbs for one in served.waiting(store, "traces", 50)) == ["down"] * 4 + ["up"] * 3


def test_drift_by_day(tmp_path: Path) -> None:
    """A day on which the labels change is marked, in the table and in the JSON; days before are not."""
    url = f"sqlite:///{tmp_path / 'ale.db'}"
    db = Database(url)
    begin = datetime.now(UTC) - timedelta(days=4)
    for day in range(4):
        mix = ["a"] * 60 + ["b"] * 40 if day < 3 else ["a"] * 20 + ["b"] * 80
        with db.session() as session:
            session.add_all(
                Served(request_id=f"{day:032x}", item=i, service="shop", served_at=begin + timedelta(days=day), label=label,
                       confidence=0.9 if day < 3 else 0.5, drawn=True)
                for i, label in enumerate(mix)
            )  # fmt: skip
    db.dispose()
    env = {"DATABASE_URL": url, "ALE_HOME": str(tmp_path)}
    done = CliRunner(env=env).invoke(app, ["drift", "--service", "shop", "--json"])
    assert done.exit_code == 0, done.output
    days = json.loads(done.output)
    assert [day["shifted"] for day in days] == [False, False, False, True]
    assert days[-1]["shift"] == pytest.approx(0.4)
    assert (days[-1]["confidence"], days[-1]["unsure"]) == (0.5, 1.0)
    shown = CliRunner(env=env).invoke(app, ["drift"])
    assert "0.400 !" in shown.output
    none = CliRunner(env=env).invoke(app, ["drift", "--service", "other"])
    assert none.exit_code == 2
    assert "--capture SHARE" in none.output
