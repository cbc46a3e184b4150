"""Projects of any age for the tests of the report: what learn runs, teachers and reviewers leave in SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ale.audit.measured import measure_audit
from ale.chance import Rate
from ale.text import text_hash
from ml_backend.auditing import audit_counts
from ml_backend.dataset import NO_AUDIT, Dataset
from ml_backend.opinions import Opinion
from ml_backend.rates import rate_row
from ml_backend.store import mirror, projects, spend, versions
from ml_backend.store.database import Database
from ml_backend.store.mirror import TaskSeen
from ml_backend.store.schema import (
    Annotation,
    Project,
    ReviewFlag,
    ReviewVerdict,
    Run,
    SecondOpinion,
    Version,
)
from ml_backend.store.spend import Budget, Settled

BEGAN = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LABELS = ("billing", "delivery", "returns", "account", "<b>&\" other's", "praise")
Json = dict[str, Any]

_NOBODY = np.zeros(0, np.int64)


def add_tasks(db: Database, key: str, tasks: int, labelled: int) -> None:
    """Tasks, the first of them finished by one person, every fortieth of those skipped."""
    seen = [
        TaskSeen(i, f"text {i}", text_hash(f"text {i}"), is_labeled=i <= labelled, updated_at="")
        for i in range(1, tasks + 1)
    ]
    mirror.save_tasks(db, key, seen)
    with db.session() as session:
        session.add_all(
            Annotation(
                project=key, annotation_id=i, task_id=i, label=LABELS[i % 6], was_cancelled=i % 40 == 0
            )
            for i in range(1, labelled + 1)
        )


def add_version(db: Database, key: str, number: int, **values: Any) -> None:
    """A version that is in force from now on."""
    name = f"ale-{number}"
    values = {"kind": "student", "labels": list(LABELS), "rows": 120, **values}
    versions.add(db, Version(project=key, version=name, number=number, **values))
    versions.put_in_force(db, key, name, projects.get(db, key).fence, f"hash {number}")


def add_run(db: Database, key: str, outcome: str, at: datetime = BEGAN, **values: Any) -> None:
    """A run that ended like that."""
    run_id = versions.start_run(db, Run(project=key, fence=1, started_at=at))
    versions.end_run(db, run_id, outcome=outcome, **values)


def metrics(labels: int, audits: int, seed: int = 0) -> Json:
    """What a student of so many labels might be measured at."""
    rng = np.random.default_rng([labels, seed])
    truth = 0.91 - 0.45 * np.exp(-labels / 130)
    found: Json = {"n_labels": float(labels), "n_classes": 6.0, "seconds_fit": 0.4}
    if labels > 5:
        found |= {
            "oof_accuracy": float(np.clip(rng.normal(truth - 0.04, 0.3 / labels**0.5), 0, 1)),
            "oof_macro_f1": truth - 0.06,
            "oof_ece": float(abs(rng.normal(0.03, 0.3 / labels**0.5))),
        }
    found["n_audit"] = float(audits)
    if audits:
        found |= {
            "audit_accuracy": float(round(truth * audits)) / audits,
            "audit_ece": float(abs(rng.normal(0.02, 0.4 / audits**0.5))),
            "audit_teacher_accuracy": float(round(0.72 * audits)) / audits,
        }
    return found


def learnt_counts(labels: int, audits: int) -> Json:
    """What a run that learnt writes down, with a teacher called gpt."""
    found = metrics(labels, audits)
    per_student = [_label(name, 40 - 5 * i, 0.93 - 0.05 * i) for i, name in enumerate(LABELS)]
    per_teacher = [_label(name, 40 - 5 * i, 0.86 - 0.09 * i) for i, name in enumerate(LABELS)]
    both = [row["agreed"] for row in per_student], [row["agreed"] for row in per_teacher]
    student, teacher = (
        rate_row(Rate(sum(r["hits"] for r in rows), sum(r["of"] for r in rows))) for rows in both
    )
    on = {"labels": 0, "audit": student["of"]} if audits > 50 else {"labels": student["of"], "audit": 0}
    trust = {
        "agreed": teacher,
        "abstained": 3,
        "mean_confidence": 0.88,
        "ece": 0.11,
        "on": on,
        "per_label": per_teacher,
        "confusions": [
            {"people": LABELS[4], "teacher": LABELS[0], "n": 9},
            {"people": LABELS[5], "teacher": LABELS[1], "n": 4},
        ],
        "against_student": {
            "student": student,
            "teacher": teacher,
            "only_student": 34,
            "only_teacher": 8,
            "p_value": 0.00007,
            "verdict": "student better",
        },
    }
    counts: Json = {
        "labels": labels + audits,
        "metrics": found,
        "reasons": {},
        "trust": {"openai:gpt-4.1-mini@v1": trust},
        "by_label": {"on": on, "agreed": student, "per_label": per_student},
        "student": {"kind": "hybrid"},
        "excluded": {"skipped": 3},
    }
    if audits:
        counts["audit"] = audit_of(audits, found["audit_accuracy"])
        counts["stop"] = {
            "stop": False,
            "reason": "the next 100 labels are expected to bring 0.4 points",
            "kappa": 0.97,
            "gain": {"labels": 100, "expected": 0.004, "low": 0.001, "high": 0.009},
        }
    return counts


def _label(name: str, n: int, share: float) -> Json:
    rate = rate_row(Rate(round(share * n), n))
    return {"label": name, "n": n, "abstained": 0, "agreed": rate, "when_said": rate}


def audit_of(audits: int, accuracy: float) -> Json:
    """As `audit_counts` writes it, of a student that is about as sure as it is right."""
    rng = np.random.default_rng(audits)
    right = round(accuracy * audits)
    targets = np.array([0] * right + [1] * (audits - right))
    sure = np.concatenate([rng.gamma(6, 0.6, right), rng.gamma(2, 0.6, audits - right)])
    logits = np.stack([sure, np.zeros(audits)], axis=1)
    found = measure_audit(targets, 3, logits, out_of_fold=1.0, teacher=None)
    dataset = Dataset([], _NOBODY, _NOBODY, [], _NOBODY, [], {}, NO_AUDIT)
    told = audit_counts(found, Opinion(None, ()), dataset)
    return told | {
        "reserve": 412,
        "waiting": 2,
        "teachers": {"openai:gpt-4.1-mini@v1": rate_row(Rate(right * 4 // 5, audits))},
    }


def add_history(db: Database, key: str, learnt: int, idle: int = 0) -> None:
    """So many versions, about ten labels apart, with a run each; then so many runs that found nothing new."""
    projects.change(db, key, audit_since=BEGAN)
    for number in range(1, learnt + 1):
        labels, audits = 9 * number, number
        at = BEGAN + timedelta(minutes=9 * number)
        add_version(db, key, number, metrics=metrics(labels, audits, number), created_at=at)
        seconds = {
            "sync": 0.21,
            "embeddings": 0.05,
            "opinions": 0.4,
            "learn": 1.3 + labels / 900,
            "publish": 0.9,
        }
        counts = learnt_counts(labels, audits) | {"version": f"ale-{number}"}
        add_run(
            db,
            key,
            "published",
            at,
            version=f"ale-{number}",
            n_labels=labels + audits,
            seconds=seconds,
            counts=counts,
        )
    for minute in range(idle):
        at = BEGAN + timedelta(minutes=9 * learnt + minute + 1)
        labels = 10 * learnt
        add_run(
            db,
            key,
            "unchanged",
            at,
            n_labels=labels,
            seconds={"sync": 0.1},
            counts={"labels": labels, "pool": 5000},
        )


def add_review(db: Database, key: str, **statuses: int) -> None:
    """Flags of these statuses, and half as many verdicts of the review project."""
    every = [status for status, n in statuses.items() for _ in range(n)]
    same: Json = {
        "project": key,
        "annotation_updated_at": "",
        "text_hash": "",
        "given": "a",
        "suggested": "b",
    }
    with db.session() as session:
        for i, status in enumerate(every):
            of = {"task_id": i, "annotation_id": i}
            session.add(ReviewFlag(**same, **of, status=status, score=0.9, reason="why"))
            if i % 2:
                outcome = "fixed" if i % 3 else "confirmed"
                answer = {"question": f"q{i}", "answer": "b", "answered_at": "", "outcome": outcome}
                session.add(ReviewVerdict(**same, **of, **answer))


def add_second_opinions(db: Database, key: str, **statuses: int) -> None:
    """Tasks that were asked once more."""
    numbers = iter(range(1, 10_000))
    with db.session() as session:
        for status, n in statuses.items():
            for _ in range(n):
                i = next(numbers)
                session.add(
                    SecondOpinion(project=key, task_id=i, annotation_id=i, text_hash="", status=status)
                )


def add_spend(db: Database, key: str, usd: float, tokens: int, calls: int) -> None:
    """Money that was reserved and settled, call by call."""
    each, some = round(usd / calls * spend.NANO), tokens // calls
    names = [str(spend.reserve(db, key, each, some, Budget())) for _ in range(calls)]
    with db.session() as session:
        spend.settle(session, key, [Settled(name, each, some) for name in names])


def add_connected(db: Database, key: str, number: int = 1, **values: Any) -> None:
    """A connected project on the Label Studio of the settings."""
    row: Json = {
        "server": "http://label-studio.test:8080",
        "project_id": number,
        "created_at": 1,
        "status": "connected",
        "title": "Customer messages",
        **values,
    }
    with db.session() as session:
        session.add(Project(key=key, **row))
