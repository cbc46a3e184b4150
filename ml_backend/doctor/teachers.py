"""The way to each teacher that costs money: key, address, model, price, and what the endpoint says.

An endpoint is asked one question of some sixty tokens, as the probe of a pass does; it belongs to no project
and is counted in no budget. It is not asked while its breaker is open, nor with a budget of zero.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import redis

from ale.chat import Capabilities
from ale.errors import ConfigurationError, TeacherUnavailable
from ml_backend.capabilities import remember
from ml_backend.doctor.findings import Finding, broken, works
from ml_backend.limiter import Breaker, breaker
from ml_backend.marks import connect_redis
from ml_backend.redis_server import resolve_redis_url
from ml_backend.settings import Settings
from ml_backend.store.schema import Project
from ml_backend.teacher_screens import capabilities_line
from ml_backend.teacher_status import named_teachers
from ml_backend.teachers import NamedTeacher, budget_of, price_of, tariff_of


def teachers(settings: Settings) -> Iterator[Finding]:
    """One hop per paid teacher. Names that are wrong were told with the settings."""
    try:
        named = named_teachers(settings)
    except ConfigurationError:
        return
    for teacher in named:
        if teacher.paid:
            yield from _hop(settings, teacher)


def project_teacher(settings: Settings, row: Project) -> Iterator[Finding]:
    """Why a connected project's teacher is silent, or has been told to be."""
    hop = f"project {row.project_id}: teacher"
    if row.teacher_problem:
        yield broken(hop, row.teacher_problem, _project_advice(row))
    elif row.teacher_beaten and settings.stop_paying:
        yield works(hop, f"asked no more, the student is better: {row.teacher_beaten}")


def _project_advice(row: Project) -> str:
    again = f"ale teach {row.project_id} --yes"
    if "ALE_BUDGET" in row.teacher_problem:
        return f"raise ALE_BUDGET_USD or ALE_BUDGET_TOKENS, restart the worker, then: {again}"
    return f"mend what the teacher's own line above says, then: {again}"


def _hop(settings: Settings, teacher: NamedTeacher) -> Iterator[Finding]:
    hop = f"teacher {teacher.name}"
    if teacher.problem:
        yield broken(hop, teacher.problem, _missing(teacher))
        return
    yield from _money(settings, teacher)
    connection = _redis(settings)
    opened = _breaker(connection, teacher)
    if opened is not None:
        when = f"the next try is in {opened.seconds:.0f} s"
        yield broken(hop, f"nobody asks it after {opened.reason}; {when}", advice(teacher, opened.reason))
        return
    if 0 in (settings.budget_usd, settings.budget_tokens):
        return
    try:
        chat = teacher.chat(None)
        found = asyncio.run(chat.capabilities())
    except TeacherUnavailable as error:
        yield broken(hop, str(error), advice(teacher, error.reason))
        return
    except ConfigurationError as error:
        yield broken(hop, str(error), _missing(teacher))
        return
    _keep(connection, teacher, found)
    said = {"structured": found.structured, "logprobs": found.logprobs, "temperature": found.temperature}
    yield works(hop, f"answers: {capabilities_line(said)}")
    yield from _who_answers(settings, teacher, chat.answered_by)


def _who_answers(settings: Settings, teacher: NamedTeacher, answered: str) -> Iterator[Finding]:
    try:
        tariff = tariff_of(settings, teacher)
    except ConfigurationError:
        return  # told with the money
    refusal = tariff.refusal(answered) if tariff is not None else None
    if refusal is not None:
        yield broken("prices", str(refusal), advice(teacher, refusal.reason))


def _money(settings: Settings, teacher: NamedTeacher) -> Iterator[Finding]:
    budget = budget_of(settings)
    if budget.usd == 0 or budget.tokens == 0:
        yield works("budget", "0: no paid teacher is asked (ALE_BUDGET_USD, ALE_BUDGET_TOKENS)")
        return
    try:
        price = price_of(settings, teacher)
    except ConfigurationError as error:
        yield broken("prices", str(error), "mend the file that ALE_PRICES names, or unset ALE_PRICES")
        return
    model = teacher.spec.model if teacher.spec else ""
    if price is None and budget.usd is not None and budget.tokens is None:
        yield broken(
            "budget",
            f"no price is known for {model}, so {budget.usd:g} USD cannot be kept and nothing is asked",
            f"{_named(teacher)}set ALE_BUDGET_TOKENS, or name the price in a file: ALE_PRICES=prices.json with "
            f'{{"models": {{"{model}": {{"input": USD, "output": USD}}}}}} per million tokens',
        )


def _named(teacher: NamedTeacher) -> str:
    """First of the ways out, where a deployment hides its model."""
    spec = teacher.spec
    hidden = spec is not None and spec.provider == "azure" and spec.model == spec.deployment
    return f"set ALE_TEACHER=azure:{spec.deployment}=MODEL, or " if spec is not None and hidden else ""


def advice(teacher: NamedTeacher, reason: str) -> str:
    """The line to change for a reason of `TeacherUnavailable`."""
    azure = teacher.spec is not None and teacher.spec.provider == "azure"
    lines = _AZURE if azure else _OPENAI
    if azure and reason == "unauthorized" and teacher.spec is not None and not teacher.spec.api_key:
        return _NOBODY
    return lines.get(reason) or _BOTH.get(reason, "nothing to change here: it is tried again by itself")


def _missing(teacher: NamedTeacher) -> str:
    if teacher.spec is not None and teacher.spec.provider == "azure":
        if teacher.spec.url:
            return "set AZURE_OPENAI_API_KEY and OPENAI_API_VERSION; for Entra ID: pip install 'ale-label-studio[azure]'"
        return "set AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com"
    return "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, or ALE_TEACHER=zero-shot"


_OPENAI = {
    "other_model": "set ALE_TEACHER=openai:MODEL to the model that answers",
    "unauthorized": "set OPENAI_API_KEY to a valid key (platform.openai.com > API keys)",
    "forbidden": "give the key's project access to the model, or set OPENAI_API_KEY to one that has it",
    "model_not_found": "set ALE_TEACHER=openai:MODEL (or OPENAI_MODEL) to a model that the key may use",
    "insufficient_quota": "add credit or raise the limit (platform.openai.com > Billing), then: ale teach PROJECT",
    "unreachable": "set OPENAI_BASE_URL to an address that answers, or open the way to api.openai.com",
    "not_an_api": "set OPENAI_BASE_URL to the API's root, which mostly ends in /v1",
    "bad_request": "set ALE_TEACHER=openai:MODEL to a model for chat completions",
}
_NOBODY = (
    "run: az login, or give this machine an identity with the role `Cognitive Services OpenAI User`, or set "
    "AZURE_OPENAI_API_KEY"
)
_AZURE = {
    "other_model": "set ALE_TEACHER=azure:DEPLOYMENT=MODEL to the model that the deployment serves",
    "unauthorized": "set AZURE_OPENAI_API_KEY to a key of this resource, or unset it and run: az login",
    "forbidden": "give the identity the role `Cognitive Services OpenAI User`, and check the resource's network rules",
    "model_not_found": "set ALE_TEACHER=azure:DEPLOYMENT to a deployment of the resource, and OPENAI_API_VERSION to a "
    "version that exists",
    "insufficient_quota": "raise the deployment's quota (Azure AI Foundry > Quotas), then: ale teach PROJECT",
    "unreachable": "set AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com, or open the way to it",
    "not_an_api": "set AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com, without any path",
    "bad_request": "set ALE_TEACHER=azure:DEPLOYMENT to one of a chat model, and OPENAI_API_VERSION=2024-10-21 or later",
}
_BOTH = {
    "timeout": "raise ALE_LLM_TIMEOUT_S",
    "rate_limited": "lower ALE_LLM_RPM and ALE_LLM_TPM to what the provider allows",
}


def _redis(settings: Settings) -> redis.Redis | None:
    """None when there is none: that was told at its own hop."""
    try:
        return connect_redis(resolve_redis_url(settings), timeout_s=3)
    except ConfigurationError:
        return None


def _breaker(connection: redis.Redis | None, teacher: NamedTeacher) -> Breaker | None:
    try:
        return breaker(connection, teacher.endpoint) if connection is not None else None
    except redis.RedisError:
        return None


def _keep(connection: redis.Redis | None, teacher: NamedTeacher, found: Capabilities) -> None:
    """What was found out serves the workers too."""
    try:
        if connection is not None:
            remember(connection, teacher.endpoint, found)
    except redis.RedisError:
        return
