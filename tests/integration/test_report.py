"""The report of projects of every age, from SQL as learn runs, teachers and reviewers leave it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ale.chance import Rate
from ml_backend.cli import app
from ml_backend.rates import rate_row
from ml_backend.report.curve import EARLY, MOST, learning_curve
from ml_backend.report.facts import Facts, gather
from ml_backend.report.page import report_page
from ml_backend.report.standing import standing
from ml_backend.settings import Settings
from ml_backend.store import projects, tunings
from ml_backend.store.schema import TunedModel
from ml_backend.wiring import Services
from tests.integration.reporting import (
    BEGAN,
    LABELS,
    add_connected,
    add_history,
    add_review,
    add_run,
    add_second_opinions,
    add_spend,
    add_tasks,
    add_version,
    learnt_counts,
    metrics,
)

KEY = "report-1"
EVIL = '<b>&"</b><script>alert(1)</script>'


def facts(services: Services, **entry: Any) -> Facts:
    """What is known of the project, with some of its entry set by hand."""
    found = gather(services, projects.get(services.db, KEY))
    found.entry.update(entry)
    return found


def told(page: str) -> str:
    """The page as a person reads it: words only, one space between them."""
    bare = re.sub(r"<style>.*?</style>|<title>.*?</title>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(bare.split())


def sections(page: str) -> dict[str, str]:
    """What is read under each heading."""
    parts = re.split(r"<h2>(.*?)</h2>", page)[1:]
    return {name: told(part) for name, part in zip(parts[::2], parts[1::2], strict=True)}


def paying(services: Services) -> Services:
    """The same with a paid teacher, which nobody asks here."""
    settings = services.settings.model_copy(
        update={
            "teacher": "openai:gpt-4.1-mini",
            "openai_api_key": type(services.settings.openai_api_key)("k3y"),
        }
    )
    return Services(settings, services.db, services.marks, services.beliefs)


def test_a_new_project_says_what_has_to_happen_first(services: Services) -> None:
    """Every section has a sentence, none a plot."""
    add_connected(services.db, KEY, title="")
    page = report_page(facts(services))
    found = sections(page)
    assert list(found) == [
        "Learning curve",
        "Calibration",
        "Teacher, student and people, label by label",
        "Spend",
        "Queue",
        "Review",
        "Runs",
        "Last problems",
    ]
    assert all(found.values())
    assert "<svg" not in page
    assert "<h1>Project 1</h1>" in page
    assert "needs people's labels of at least two kinds" in found["Learning curve"].replace("&#x27;", "'")
    assert "No teacher that costs money is set" in found["Spend"]


def test_a_young_project_is_not_judged_by_one_audit(services: Services) -> None:
    """The interval would be all there is: the cross-validated agreement stands there, and what is waited for."""
    add_connected(services.db, KEY)
    add_tasks(services.db, KEY, 200, 10)
    projects.change(services.db, KEY, audit_since=BEGAN)
    add_version(services.db, KEY, 1, metrics=metrics(9, 1))
    add_run(services.db, KEY, "published", n_labels=10, counts=learnt_counts(9, 1))
    known = facts(services)
    assert known.audited is None
    assert "too few audits say how good it is" in standing(known)
    found = sections(report_page(known))
    assert "An accuracy on all texts appears here from 10 audits on" in found["Learning curve"]
    assert "student on audits, with" not in found["Learning curve"]
    assert "once a student has met 50 audits" in found["Calibration"]


def test_an_old_project_tells_everything(services: Services) -> None:
    """Curve, reliability, label by label, money, queue, review, runs, problems: with the numbers that SQL has."""
    services = paying(services)
    add_connected(services.db, KEY, paid_teacher=True)
    add_tasks(services.db, KEY, 500, 120)
    add_history(services.db, KEY, 60, 5)
    add_review(services.db, KEY, suspect=7, fixed=6, confirmed=2, withdrawn=1)
    add_second_opinions(services.db, KEY, asked=4, answered=9)
    add_spend(services.db, KEY, 1.25, 40_000, 50)
    add_run(services.db, KEY, "failed", reason="LabelStudioError: Label Studio answered 502")
    page = report_page(facts(services))
    found = sections(page)
    (right,) = re.findall(r"The student is right on (\d+)% of 60 audits \(\d+-\d+%\)", told(page))
    assert int(right) in range(80, 95)
    assert "the next 100 labels are expected to bring +0.4 points (+0.1 to +0.9)" in told(page)
    assert "student on audits, with 95% interval" in found["Learning curve"]
    assert "share of audits that is right, with 95% interval" in found["Calibration"]
    by_label = found["Teacher, student and people, label by label"]
    assert "billing 92% of 40 (80-97%) 85% of 40 (71-93%)" in by_label
    assert "student better (p = 7e-05)" in by_label
    assert "9 × people said" in by_label
    assert "$1.25 of $5.00 spent" in found["Spend"]
    assert "500 tasks 120 labelled 380 wait for a label 3 skipped answers" in found["Queue"]
    assert "Audit: 60 of 412 tasks so far, 3 skipped" in found["Queue"]
    assert "4 asked 9 answered" in found["Queue"]
    assert "7 to be reviewed 6 fixed 2 confirmed as they were" in found["Review"]
    assert "8 suspicions reviewed, 75% of 8 (41-93%) of them right" in found["Review"]
    assert "In the review project: 3 confirmed, 5 fixed" in found["Review"]
    assert "On record: 1 failed, 60 published, 5 unchanged" in found["Runs"]
    assert "learn 1.90 s" in found["Runs"]
    assert "failed: LabelStudioError: Label Studio answered 502" in found["Last problems"]
    assert "All is well now" in found["Last problems"]


def test_nothing_of_texts_and_keys_is_told(services: Services) -> None:
    """Texts, keys and passwords are in SQL and settings; none is on the page."""
    services = paying(services)
    services = Services(
        services.settings.model_copy(update={"label_studio_host": "http://joe:pa55@ls.test"}),
        services.db,
        services.marks,
        services.beliefs,
    )
    add_connected(services.db, KEY, instructions="read-me-not", label_config="<View/>")
    add_tasks(services.db, KEY, 40, 20)
    add_history(services.db, KEY, 6)
    page = report_page(facts(services))
    assert not re.search(r"\btext \d", page)
    assert not re.search("k3y|pa55|read-me-not|a-secret-for-tests|Open in Label Studio", page)


def test_words_of_users_and_providers_are_escaped(services: Services) -> None:
    """Title, names of labels, reasons, names of teachers and annotators may hold anything."""
    add_connected(services.db, KEY, title=EVIL, problem=EVIL, version=None)
    counts = learnt_counts(90, 60)
    counts["trust"] = {"zero-shot-minilm-l6-6+3-v2": next(iter(counts["trust"].values()))}
    counts["people"] = {
        "several": 3,
        "contradicted": 1,
        "annotators": {EVIL: {"answers": 9, "shared": 2, "quality": 0.8}},
    }
    projects.change(services.db, KEY, audit_since=BEGAN)
    add_version(services.db, KEY, 1, metrics=metrics(90, 60))
    add_run(
        services.db,
        KEY,
        "failed",
        reason=EVIL,
        n_labels=150,
        seconds={EVIL: 1.0, "learn": 2.0},
        counts=counts,
    )
    page = report_page(facts(services, review={"suspect": 1}, teaching=None))
    assert "<script" not in page
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;&quot;&lt;/b&gt;&lt;script&gt;" in page
    assert "&lt;b&gt;&amp;&quot; other&#x27;s" in page  # one of the labels


def test_runs_of_an_earlier_ale_are_read(services: Services) -> None:
    """They lack what was measured later; what they have is told."""
    add_connected(services.db, KEY)
    projects.change(services.db, KEY, audit_since=BEGAN)
    counts = learnt_counts(90, 60)
    del counts["by_label"], counts["student"]
    for name in ("reliability", "at_least"):
        del counts["audit"][name]
    trust = counts["trust"].pop("openai:gpt-4.1-mini@v1")
    for name in ("on", "confusions", "against_student"):
        del trust[name]
    counts["trust"]["zero-shot-minilm-l6-6+3-v2"] = trust
    add_version(services.db, KEY, 1, metrics={"n_labels": 90.0}, kind="student")
    add_run(services.db, KEY, "published", n_labels=150, counts=counts)
    found = sections(report_page(facts(services)))
    assert "The curve begins with the next version" in found["Learning curve"]
    by_label = found["Teacher, student and people, label by label"]
    assert "billing 85% of 40" in by_label
    assert "on 165 labels" in by_label


def test_what_the_review_has_brought(services: Services) -> None:
    """Where the status says it; its own figure for the flags then counts, and none of its parts must be there."""
    add_connected(services.db, KEY)
    payback = {
        "reviewed": 45,
        "fixed": 31,
        "precision": rate_row(Rate(33, 45)),
        "remaining": {"expected": 18.2, "low": 9.0, "high": 31.0},
        "labels": 1000,
        "accuracy": {"fixed": 31, "labels": 1000, "before": 86, "now": 88, "of": 100},
    }
    found = sections(report_page(facts(services, payback=payback)))["Review"]
    assert "45 suspicions reviewed, 73% of 45 (59-84%) of them right" in found
    assert "About 18 of 1000 labels still wrong (9-31)" in found
    assert "on 100 audits: 88 right, 86 without the 31 fixes" in found
    nothing = {
        "reviewed": 0,
        "fixed": 0,
        "precision": None,
        "remaining": None,
        "labels": None,
        "accuracy": None,
    }
    few = sections(report_page(facts(services, payback=nothing)))["Review"]
    assert "told once people have decided on some" in few


STOP = {"stop": True, "reason": "the models agree", "kappa": 0.99, "gain": None}
AUDIT = {"student": {"hits": 88, "of": 100, "low": 0.802, "high": 0.93}}
STUDENT = {"status": "connected", "version": "ale-9", "kind": "student", "metrics": {}, "audit": AUDIT}
SUSPECTS = {"suspect": 2}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"status": "wished"}, "run `ale connect 1`"),
        ({"status": "disconnected"}, "`ale connect 1` goes on"),
        ({"status": "gone"}, "Label Studio has this project no more"),
        ({"problem": "no text.\nAt all."}, "just now: no text. At all. `ale doctor` names"),
        ({}, "The first version is being made"),
        (
            {"version": "ale-1", "kind": "teacher"},
            "Nobody has labelled anything yet and what is suggested comes",
        ),
        ({"version": "ale-1", "kind": "none"}, "and nothing is suggested: label on"),
        (STUDENT, "The student is right on 88% of 100 audits (80-93%); label on."),
        (STUDENT | {"stop": STOP}, "; more labels hardly pay: `ale finish 1` labels the rest."),
        (
            STUDENT | {"stop": STOP, "review": SUSPECTS},
            "look at the 2 suspected label errors, then `ale finish 1`",
        ),
        (STUDENT | {"stop": {**STOP, "stop": False, "reason": "why not"}}, "; label on: why not."),
        (
            STUDENT | {"tasks": 5, "labeled_tasks": 5},
            "; all tasks are labelled: `ale export 1` writes the labels.",
        ),
    ],
)
def test_where_it_stands_and_what_to_do(services: Services, entry: dict[str, Any], said: str) -> None:
    """One sentence for each stage; the next command stands in it."""
    add_connected(services.db, KEY)
    assert said in standing(facts(services, **entry))


def test_the_curve_has_a_point_for_every_number_of_labels(services: Services) -> None:
    """The last student of as many labels counts; students of other labels, and half-made versions, are left out."""
    add_connected(services.db, KEY)
    add_version(services.db, KEY, 1, labels=["other"], metrics=metrics(50, 5))
    add_version(services.db, KEY, 2, metrics=metrics(60, 6), kind="teacher")
    add_version(services.db, KEY, 3, metrics=metrics(70, 7) | {"oof_accuracy": 0.1})
    add_version(services.db, KEY, 4, metrics=metrics(70, 7) | {"oof_accuracy": 0.7})
    add_version(services.db, KEY, 5, metrics=metrics(80, 0) | {"oof_accuracy": float("nan")})
    with services.db.session() as session:
        found = learning_curve(session, KEY)
    assert [(one.labels, one.agreement, one.audit.of) for one in found] == [(77, 0.7, 7), (80, None, 0)]
    add_run(services.db, KEY, "unchanged", counts=learnt_counts(90, 9))
    add_run(services.db, KEY, "unchanged")
    with services.db.session() as session:
        assert [one.labels for one in learning_curve(session, KEY)] == [77, 80, 99]


def test_a_long_history_is_read_in_part(services: Services) -> None:
    """As many points as a screen can tell apart, the first ones and the newest among them."""
    add_connected(services.db, KEY)
    last = 2 * MOST + 7
    for number in range(1, last + 1):
        add_version(services.db, KEY, number, metrics={"n_labels": float(number), "oof_accuracy": 0.5})
    with services.db.session() as session:
        found = learning_curve(session, KEY)
    assert MOST / 2 < len(found) <= MOST + EARLY + 1
    assert [one.labels for one in found[:EARLY]] == list(range(1, EARLY + 1))
    assert found[-1].labels == last


def test_money_is_told_by_purpose(services: Services) -> None:
    """What is not kept by purpose is the rest; the training of a teacher is its own line."""
    services = paying(services)
    add_connected(services.db, KEY, paid_teacher=True)
    add_spend(services.db, KEY, 3.0, 1000, 10)
    tuned = {
        "provider": "openai",
        "base": "b",
        "question": "q",
        "prompt": "p",
        "prompt_version": "v1",
        "snapshot": "s",
    }
    tunings.add(
        services.db,
        TunedModel(id="t", project=KEY, reservation="r", epochs=3, usd=1.25, state="succeeded", **tuned),
    )
    found = sections(report_page(facts(services)))["Spend"]
    assert "training teachers on people&#x27;s labels $1.25" in found
    assert "texts that are gone $1.75" in found


def test_more_labels_than_fit_are_counted(services: Services) -> None:
    """Those that people gave most often are shown, by their number and not by their name."""
    add_connected(services.db, KEY)
    counts = learnt_counts(90, 60)
    rate = rate_row(Rate(1, 2))
    rows = [
        {"label": f"label {i:02}", "n": i, "abstained": 0, "agreed": rate, "when_said": rate}
        for i in range(20)
    ]
    counts["by_label"]["per_label"] = rows
    add_run(services.db, KEY, "published", counts=counts)
    found = sections(report_page(facts(services)))["Teacher, student and people, label by label"]
    assert "label 19" in found
    assert "label 07" not in found
    assert f"And {20 - 12} labels more" in found
    assert LABELS[0] not in found


def test_redis_being_away_is_told(services: Services) -> None:
    """All else is told all the same."""
    add_connected(services.db, KEY)
    add_tasks(services.db, KEY, 40, 20)
    services.marks.connection.connection_pool.connection_kwargs["port"] = 1
    services.marks.connection.connection_pool.disconnect()
    found = sections(report_page(facts(services)))
    assert "Redis does not answer" in found["Last problems"]
    assert "40 tasks" in found["Queue"]


def test_the_command_writes_the_page(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For us only: it tells of a project what the web process asks a password for."""
    monkeypatch.setenv("ALE_HOME", str(services.settings.home))
    monkeypatch.setenv("LABEL_STUDIO_URL", services.settings.label_studio_url)
    monkeypatch.setenv("REDIS_URL", services.settings.redis_url)
    add_connected(services.db, KEY, title=EVIL)
    page = tmp_path / "made.html"
    done = CliRunner().invoke(app, ["report", "1", "--out", str(page)])
    assert (done.exit_code, "/projects/1/report" in done.output) == (0, True), done.output
    assert "No learn run yet" in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    for args, said in (
        (["2"], "project 2 is not known here"),
        (["1", "--out", str(tmp_path / "made.pdf")], "the report is written as .html"),
        (["1", "--out", str(tmp_path / "no" / "made.html")], "cannot write"),
    ):
        failed = CliRunner().invoke(app, ["report", *args])
        assert (failed.exit_code, said in failed.output) == (2, True), failed.output


def test_the_address_holds_no_password(settings: Settings) -> None:
    """And is one that a browser reaches: in compose, ALE_URL is a name that only containers know."""
    there = settings.model_copy(update={"url": "https://joe:pa55@ale.test/x"})
    assert there.report_address(7) == "https://ale.test/x/projects/7/report"
    inside = there.model_copy(update={"deployment": "compose"})
    assert inside.report_address(7) == "http://localhost:9090/projects/7/report"
