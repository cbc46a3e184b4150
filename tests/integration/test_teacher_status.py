"""What `ale status`, /status, /metrics and `ale doctor` say about teachers, after real steps over the stand-in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ale.io.chat import ChatSpec
from ale.io.chat.prices import load_prices
from ml_backend import metrics
from ml_backend.doctor import Finding
from ml_backend.doctor.teachers import advice, project_teacher, teachers
from ml_backend.screens import show_status
from ml_backend.settings import Settings
from ml_backend.standin import NO_LOGPROBS, REASONING, Profile, Script, StandIn, always
from ml_backend.status import overview
from ml_backend.store import projects, versions
from ml_backend.store.schema import Run
from ml_backend.teacher_status import teachers_seen
from ml_backend.teachers import NamedTeacher
from ml_backend.wiring import Services
from tests.integration.teaching import KEY, add_project, step, texts, with_teacher

NAMES = [*texts(6), "An innocent text. [[behaviour:refusal]]", "Another. [[behaviour:unknown_label]]"]
SECRET = "a-key-for-tests"


def seen(services: Services, settings: Settings) -> Any:
    """What there is to say about the only project's teachers."""
    found = overview(Services(settings, services.db, services.marks, services.beliefs))
    json.dumps(found, allow_nan=False)  # a script reads it
    return found["projects"][0]["teaching"]


def screen(services: Services, settings: Settings, width: int) -> str:
    """`ale status` in a terminal of that width."""
    out = io.StringIO()
    found = overview(Services(settings, services.db, services.marks, services.beliefs))
    show_status(Console(file=out, width=width), found)
    return out.getvalue()


def test_status_tells_answers_abstentions_and_money(
    services: Services, settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """Counted from what is stored: the account agrees with the endpoint's own."""
    server = endpoint(NAMES, profile=NO_LOGPROBS)
    paying = with_teacher(settings, server)
    add_project(services.db, NAMES)
    step(paying, services.db, NAMES)
    teaching = seen(services, paying)
    (teacher,) = teaching["teachers"]
    assert (teacher["answers"], teacher["abstentions"]) == (6, {"refusal": 1, "unknown_label": 1})
    assert teacher["confidence"] == {"verbalised": 6}
    assert teacher["capabilities"]["logprobs"] is False
    assert list(teacher["prompts"].values()) == [8]
    spend = teaching["spend"]
    assert spend["tokens"] == server.calls.usage().total
    assert (spend["budget_usd"], spend["lost_calls"]) == (5.0, 0)
    for width in (80, 100):
        shown = screen(services, paying, width)
        assert "no log-probabilities" in shown
        assert "refusal 1, unknown_label 1" in shown
        assert "of $5.00 spent" in shown
        assert max(map(len, shown.splitlines())) <= width
    page = metrics.render(Services(paying, services.db, services.marks, services.beliefs)).decode()
    name = teacher["name"]
    assert f'ale_teacher_abstentions{{project="{KEY}",reason="refusal",teacher="{name}"}} 1.0' in page
    assert f'ale_spend_tokens_total{{project="{KEY}"}} {float(server.calls.usage().total)}' in page
    for said in (json.dumps(teaching), page, screen(services, paying, 100)):
        assert SECRET not in said
        assert "Message 1" not in said


def test_an_open_breaker_is_told_with_its_reason(
    services: Services, settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """In status and metrics; the doctor names what to change and asks nobody."""
    server = endpoint(NAMES, script=Script(always("quota")))
    paying = with_teacher(settings, server)
    add_project(services.db, NAMES)
    step(paying, services.db, NAMES)
    teaching = seen(services, paying)
    assert teaching["teachers"][0]["breaker"]["reason"] == "insufficient_quota"
    assert "a person must act" in screen(services, paying, 100)
    page = metrics.render(Services(paying, services.db, services.marks, services.beliefs)).decode()
    assert 'reason="insufficient_quota"' in page
    calls = len(server.calls)
    (finding,) = teachers(paying)
    assert not finding.ok
    assert "Billing" in finding.fix
    assert len(server.calls) == calls
    (problem,) = project_teacher(paying, projects.get(services.db, KEY))
    assert "quota" in problem.seen
    assert "ale teach 1 --yes" in problem.fix


def test_trust_and_a_student_that_is_better_are_told(
    services: Services, settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """From the newest run that measured it, whatever the runs after it found."""
    paying = with_teacher(settings, endpoint(NAMES))
    add_project(services.db, NAMES, teacher_beaten="of 60 texts ... (p = 0.001)")
    name = seen(services, paying)["teachers"][0]["name"]
    rate = {"hits": 30, "of": 40, "low": 0.5981, "high": 0.8581}
    trust = {
        "agreed": rate,
        "abstained": 1,
        "mean_confidence": 0.9,
        "ece": 0.15,
        "per_label": [{"label": "good", "n": 40, "abstained": 1, "agreed": rate, "when_said": rate}],
        "confusions": [],
        "against_student": {
            "student": {**rate, "hits": 39},
            "teacher": rate,
            "only_student": 9,
            "only_teacher": 0,
            "p_value": 0.0039,
            "verdict": "student better",
        },
    }
    measured: list[dict[str, Any]] = [{"trust": {name: trust}}, {}, {"trust": {}}]
    for counts in measured:
        run = Run(project=KEY, fence=1, started_at=projects.get(services.db, KEY).updated_at)
        versions.end_run(
            services.db, versions.start_run(services.db, run), outcome="unchanged", counts=counts
        )
    shown = screen(services, paying, 100)
    assert "against people: 75% of 40 (60-86%) agreed" in shown
    assert "student better" in shown
    assert "nothing more is asked" in shown
    going_on = paying.model_copy(update={"stop_paying": False})
    assert "asked all the same" in screen(services, going_on, 100)


def test_redis_may_be_away(services: Services, settings: Settings, endpoint: Callable[..., StandIn]) -> None:
    """Then money and answers are told all the same."""
    paying = with_teacher(settings, endpoint(NAMES))
    add_project(services.db, NAMES)
    step(paying, services.db, NAMES)
    services.marks.connection.connection_pool.connection_kwargs["port"] = 1
    services.marks.connection.connection_pool.disconnect()
    teaching = seen(services, paying)
    assert teaching["teachers"][0]["answers"] == 6
    assert teaching["teachers"][0]["capabilities"] is None


# -- the doctor ------------------------------------------------------------------------------------------


def failed(settings: Settings) -> list[Finding]:
    """The hops that fail."""
    return [finding for finding in teachers(settings) if not finding.ok]


@pytest.mark.parametrize(
    ("behaviour", "fix"),
    [
        ("unauthorized", "set OPENAI_API_KEY"),
        ("forbidden", "give the key's project access"),
        ("not_found", "set ALE_TEACHER=openai:MODEL"),
        ("quota", "add credit"),
        ("rate_limit", "lower ALE_LLM_RPM"),
    ],
)
def test_the_doctor_names_the_line_to_change(
    settings: Settings, endpoint: Callable[..., StandIn], behaviour: str, fix: str
) -> None:
    """One call is enough to know."""
    server = endpoint(NAMES, script=Script(always(behaviour)))
    (finding,) = failed(with_teacher(settings, server))
    assert fix in finding.fix
    assert SECRET not in finding.seen + finding.fix
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("behaviour", "fix"),
    [
        ("unauthorized", "set AZURE_OPENAI_API_KEY"),
        ("forbidden", "Cognitive Services OpenAI User"),
        ("not_found", "azure:DEPLOYMENT"),
    ],
)
def test_the_doctor_speaks_of_azure_to_those_who_use_it(
    settings: Settings, endpoint: Callable[..., StandIn], behaviour: str, fix: str
) -> None:
    """Other variables, another portal."""
    server = endpoint(NAMES, script=Script(always(behaviour)))
    (finding,) = failed(azure(settings, server))
    assert fix in finding.fix


def azure(settings: Settings, server: StandIn) -> Settings:
    """A deployment at the stand-in."""
    return settings.model_copy(
        update={
            "teacher": "azure:gpt-4.1-mini",
            "azure_endpoint": server.azure_endpoint,
            "azure_api_key": type(settings.azure_api_key)(SECRET),
        }
    )


def test_what_is_missing_is_named_before_anybody_is_asked(settings: Settings) -> None:
    """No key, no endpoint, nobody listening."""
    (no_key,) = failed(settings.model_copy(update={"teacher": "openai"}))
    assert "set OPENAI_API_KEY" in no_key.fix
    (no_endpoint,) = failed(settings.model_copy(update={"teacher": "azure:mine"}))
    assert "set AZURE_OPENAI_ENDPOINT" in no_endpoint.fix
    nobody = {"teacher": "openai:gpt-4.1-mini", "openai_base_url": "http://127.0.0.1:1/v1"}
    (unreachable,) = failed(settings.model_copy(update=nobody))
    assert "set OPENAI_BASE_URL" in unreachable.fix


def test_a_model_without_a_price_needs_another_budget(
    settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """Both ways out are named; with one of them all is well."""
    server = endpoint(NAMES)
    unpriced = with_teacher(settings, server, teacher="openai:stand-in")
    (finding,) = failed(unpriced)
    assert "ALE_BUDGET_TOKENS" in finding.fix
    assert "ALE_PRICES" in finding.fix
    assert not failed(unpriced.model_copy(update={"budget_tokens": 1000}))


def test_a_deployment_that_serves_a_dearer_model_is_stopped_and_told(
    services: Services, settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """One call, charged at what it costs; the setting is named, by status and doctor, and with it all is well."""
    server = endpoint(NAMES)
    server.models.deploy("gpt-4o-mini", "gpt-4")
    paying = azure(settings, server).model_copy(update={"teacher": "azure:gpt-4o-mini"})
    add_project(services.db, NAMES)
    step(paying, services.db, NAMES)
    mend = "ALE_TEACHER=azure:gpt-4o-mini=gpt-4"
    assert len(server.calls) == 1
    assert mend in projects.get(services.db, KEY).teacher_problem
    price = load_prices().of("gpt-4")
    assert price is not None
    spend = seen(services, paying)["spend"]
    assert spend["usd"] == pytest.approx(price.usd(server.calls.usage()), abs=1e-9)
    assert spend["reserved_usd"] == 0
    assert seen(services, paying)["teachers"][0]["breaker"]["reason"] == "other_model"

    told = paying.model_copy(update={"teacher": "azure:gpt-4o-mini=gpt-4"})
    step(told, services.db, NAMES)
    assert seen(services, told)["teachers"][0]["answers"] == 6
    assert not failed(told)
    server.models.deploy("fresh", "gpt-4")
    other = told.model_copy(update={"teacher": "azure:fresh=gpt-4.1"})
    (finding,) = failed(other)
    assert "azure:fresh=gpt-4" in finding.seen
    (finding,) = failed(told.model_copy(update={"teacher": "azure:gpt-4.1=my-own"}))
    assert "ALE_PRICES" in finding.fix


def test_a_deployment_without_a_price_may_name_its_model(
    settings: Settings, endpoint: Callable[..., StandIn]
) -> None:
    """The shortest of the ways out."""
    server = endpoint(NAMES)
    server.models.deploy("dep", "gpt-4.1")
    (finding,) = failed(azure(settings, server).model_copy(update={"teacher": "azure:dep"}))
    assert "set ALE_TEACHER=azure:dep=MODEL" in finding.fix
    assert not failed(azure(settings, server).model_copy(update={"teacher": "azure:dep=gpt-4.1"}))


def test_without_a_key_the_doctor_speaks_of_identities() -> None:
    """A key that is not there can not be unset."""
    without = NamedTeacher("azure", spec=ChatSpec("mine", provider="azure"))
    assert "az login" in advice(without, "unauthorized")
    assert "unset" not in advice(without, "unauthorized")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"teacher": "azure:"}, "ALE_TEACHER=azure:"),
        ({"prices": Path("/no/such/prices.json")}, "/no/such/prices.json"),
    ],
)
def test_status_names_a_wrong_setting_without_any_project(
    services: Services, settings: Settings, changes: dict[str, Any], named: str
) -> None:
    """It would not be seen otherwise before the first project is connected."""
    assert "settings:" not in screen(services, settings, 200)
    assert named in screen(services, settings.model_copy(update=changes), 200)


@pytest.mark.parametrize(("profile", "said"), [(REASONING, "no temperature"), (NO_LOGPROBS, "no log-prob")])
def test_the_doctor_tells_what_an_endpoint_can_do(
    settings: Settings, endpoint: Callable[..., StandIn], profile: Profile, said: str
) -> None:
    """Found by one question, and kept for the workers; with a budget of zero nobody is asked."""
    server = endpoint(NAMES, profile=profile)
    found = list(teachers(with_teacher(settings, server)))
    assert [finding.ok for finding in found] == [True]
    assert said in found[0].seen
    calls = len(server.calls)
    assert all(finding.ok for finding in teachers(with_teacher(settings, server, budget_usd=0.0)))
    assert len(server.calls) == calls


def test_what_redis_knows_is_not_denied_while_it_is_away(
    services: Services, endpoint: Callable[..., StandIn]
) -> None:
    """Without Redis nobody knows what the endpoint can do: that is no "not asked yet"."""
    add_project(services.db, NAMES)
    settings = with_teacher(services.settings, endpoint(NAMES))
    row = projects.get(services.db, KEY)
    asked = teachers_seen(settings, services.db, services.marks.connection, row)
    away = teachers_seen(settings, services.db, None, row)
    assert [found["teachers"][0]["endpoint_known"] for found in (asked, away)] == [True, False]
