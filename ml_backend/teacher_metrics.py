"""The part of the Prometheus page about teachers. Label values are project keys, teachers' names and fixed words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Json = dict[str, Any]

_SPEND = {
    "usd": "US dollars that paid teachers have cost.",
    "tokens": "Tokens that paid teachers have cost.",
    "calls": "Calls that were answered or whose fate is unknown.",
    "lost_usd": "The part of the dollars that was counted for calls of unknown fate.",
    "lost_tokens": "The part of the tokens that was counted for calls of unknown fate.",
}
_NOW = {
    "reserved_usd": "US dollars set aside for calls under way.",
    "reserved_tokens": "Tokens set aside for calls under way.",
    "budget_usd": "The most that the project may cost, in US dollars.",
    "budget_tokens": "The most that the project may cost, in tokens.",
}


def teacher_metrics(projects: list[Json]) -> Iterator[Metric]:
    """Spend, answers, abstentions by reason, agreement with people, and open breakers."""
    teaching = {project["key"]: project["teaching"] for project in projects if project["teaching"]}
    yield from _spend({key: seen["spend"] for key, seen in teaching.items() if seen["spend"]})
    names = ["project", "teacher"]
    answers = GaugeMetricFamily("ale_teacher_answers", "Texts that the teacher answered.", labels=names)
    silent = GaugeMetricFamily(
        "ale_teacher_abstentions", "Texts without an answer, by reason.", labels=[*names, "reason"]
    )
    agreed = GaugeMetricFamily(
        "ale_teacher_agreement", "Share of people's labels it agrees with.", labels=names
    )
    breaker = GaugeMetricFamily(
        "ale_teacher_breaker_open", "1 while nobody asks.", labels=["teacher", "reason"]
    )
    beaten = GaugeMetricFamily(
        "ale_teacher_beaten", "1 when the student beats the paid teachers.", labels=["project"]
    )
    opened: dict[str, str] = {}
    for key, seen in teaching.items():
        beaten.add_metric([key], float(bool(seen["beaten"])))
        for one in seen["teachers"]:
            answers.add_metric([key, one["name"]], one["answers"])
            for reason, n in one["abstentions"].items():
                silent.add_metric([key, one["name"], reason], n)
            if one["trust"] and one["trust"]["agreed"]["of"]:
                rate = one["trust"]["agreed"]
                agreed.add_metric([key, one["name"]], rate["hits"] / rate["of"])
            if one["breaker"]:
                opened[one["name"]] = one["breaker"]["reason"]
    for name, reason in opened.items():  # one endpoint, however many projects use it
        breaker.add_metric([name, reason], 1.0)
    yield from (answers, silent, agreed, breaker, beaten)


def _spend(spend: dict[str, Json]) -> Iterator[Metric]:
    for name, text in _SPEND.items():
        counter = CounterMetricFamily(f"ale_spend_{name}", text, labels=["project"])
        for key, values in spend.items():
            counter.add_metric([key], values[name])
        yield counter
    for name, text in _NOW.items():
        gauge = GaugeMetricFamily(f"ale_spend_{name}", text, labels=["project"])
        for key, values in spend.items():
            if values[name] is not None:
                gauge.add_metric([key], values[name])
        yield gauge
