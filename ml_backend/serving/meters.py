"""Prometheus counters of one served model. Label values are routes, statuses, versions and the model's labels."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ml_backend.serving.answers import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """Counted in this process: a served model is one."""

    def __init__(self, version: str, labels: Sequence[str]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "ale_serve_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "ale_serve_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.labels = Counter(
            "ale_serve_labels", "Texts by the label they were given.", ["label"], registry=self.registry
        )
        self.bad = Counter(
            "ale_serve_bad_texts", "Texts without a label.", ["reason"], registry=self.registry
        )
        self.confidence = Histogram(
            "ale_serve_confidence",
            "Calibrated confidence.",
            buckets=[tenth / 10 for tenth in range(1, 11)],
            registry=self.registry,
        )
        self.captured = Counter(
            "ale_serve_captured",
            "Predictions to be kept, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.feedback = Counter("ale_serve_feedback", "Feedback by kind.", ["kind"], registry=self.registry)
        model = Gauge("ale_serve_model", "The version that answers.", ["version"], registry=self.registry)
        model.labels(version).set(1)
        for label in labels:
            self.labels.labels(label)  # a label that was never given is 0, not absent

    def count(self, answers: Sequence[Answer]) -> None:
        """A batch that was answered."""
        for one in answers:
            if one.label is None:
                self.bad.labels(one.reason).inc()
            else:
                self.labels.labels(one.label).inc()
                self.confidence.observe(one.confidence)

    def render(self) -> bytes:
        """The page in Prometheus' text format."""
        return generate_latest(self.registry)
