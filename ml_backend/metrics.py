"""The Prometheus page, made afresh from Redis and SQL at each request.

All web workers and the worker process count into the same Redis hash, so nothing is kept in this process and
any web worker answers for all. Label values are project keys and fixed words: no titles, texts or secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ml_backend.status import overview
from ml_backend.teacher_metrics import teacher_metrics
from ml_backend.wiring import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PER_PROJECT = {
    "tasks": "Tasks as last read from Label Studio.",
    "labeled_tasks": "Tasks that Label Studio calls finished.",
    "annotations": "Annotations as last read, skipped ones included.",
    "skipped": "Skipped annotations.",
    "rows_in_force": "Predictions of the version in force.",
    "rows_superseded": "Predictions of older versions that are still there.",
}


def render(services: Services) -> bytes:
    """The page in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(overview(services)))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield GaugeMetricFamily("ale_redis_up", "1 when Redis answers.", value=float(status["redis"] == "ok"))
        events = CounterMetricFamily(
            "ale_events", "What happened, by part and outcome.", labels=["part", "outcome"]
        )
        for name, n in status["events"].items():
            part, _, outcome = name.partition(":")
            events.add_metric([part, outcome], n)
        yield events
        if status["mirror"] and status["mirror"]["waiting"] is not None:
            yield GaugeMetricFamily(
                "ale_mirror_waiting",
                "Versions that were in force and that MLflow lacks.",
                value=float(status["mirror"]["waiting"]),
            )
        yield from self._projects(status["projects"])

    def _projects(self, projects: list[dict[str, Any]]) -> Iterator[Metric]:
        for name, text in _PER_PROJECT.items():
            gauge = GaugeMetricFamily(f"ale_project_{name}", text, labels=["project"])
            for project in projects:
                gauge.add_metric([project["key"]], project[name])
            yield gauge
        # A gauge: old runs leave the table. The counter of all runs is ale_events_total{part="learn"}.
        runs = GaugeMetricFamily(
            "ale_learn_runs", "Learn runs on record, by outcome.", labels=["project", "outcome"]
        )
        review = GaugeMetricFamily(
            "ale_review_flags", "Review flags by status.", labels=["project", "status"]
        )
        overdue = GaugeMetricFamily(
            "ale_project_overdue_seconds", "How late a due learn run is.", labels=["project"]
        )
        audited = GaugeMetricFamily(
            "ale_audit_tasks",
            "Tasks of the audit reserve, by what became of them.",
            labels=["project", "state"],
        )
        right = GaugeMetricFamily(
            "ale_audit_accuracy",
            "Share right on audit tasks, and its 95 % interval.",
            labels=["project", "who", "bound"],
        )
        connected = GaugeMetricFamily("ale_project_connected", "1 when connected.", labels=["project"])
        version = GaugeMetricFamily(
            "ale_project_version", "The version in force.", labels=["project", "version"]
        )
        for project in projects:
            key = project["key"]
            connected.add_metric([key], float(project["status"] == "connected"))
            overdue.add_metric([key], max(0.0, -(project["due_in_s"] or 0.0)))
            if project["version"]:
                version.add_metric([key, project["version"]], 1.0)
            for state in ("labels", "skipped", "waiting", "reserve") if project["audit"] else ():
                audited.add_metric([key, state], project["audit"][state])
            for who, rate in _rates(project["audit"]):
                right.add_metric([key, who, "share"], rate["hits"] / rate["of"])
                right.add_metric([key, who, "low"], rate["low"])
                right.add_metric([key, who, "high"], rate["high"])
            for outcome, n in project["runs"].items():
                runs.add_metric([key, outcome], n)
            for state, n in project["review"].items():
                review.add_metric([key, state], n)
        yield from (runs, review, overdue, connected, version, audited, right)
        yield from teacher_metrics(projects)


def _rates(audit: dict[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Who was right how often."""
    if audit:
        yield from (("student", audit["student"]),) if audit["student"] else ()
        yield from audit["teachers"].items()
