"""Which teachers the settings name, and what is needed to ask one that costs money.

A paid teacher has its name, under which its answers are stored, also when it can not be asked: without a key
the answers that were paid for are still good. Importing this module imports neither `openai` nor torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ale.chat import Capabilities
from ale.errors import ConfigurationError, UnknownName
from ale.io.chat import ChatSpec, make_chat
from ale.io.chat.openai_chat import CompletionsChat
from ale.io.chat.prices import Price, Tariff, load_prices
from ale.protocols import Encoder, Teacher
from ale.teachers import TEACHERS, resolve_teacher
from ale.teachers.llm import LLMOptions
from ale.teachers.llm.prompt import load_prompt
from ml_backend.settings import Settings
from ml_backend.store.spend import Budget

DEFAULT_PROMPT = "v1"


@dataclass(frozen=True, slots=True)
class NamedTeacher:
    """One entry of ALE_TEACHER. Either `free` answers at once, or `spec` says which model to ask and pay.

    `name` keys the stored answers. `problem` says why it can not be asked; empty when it can.
    """

    name: str
    free: Teacher | None = None
    spec: ChatSpec | None = None
    prompt: str = ""
    problem: str = ""

    @property
    def paid(self) -> bool:
        """Whether it is asked only where somebody has agreed to pay."""
        return self.spec is not None

    @property
    def endpoint(self) -> str:
        """What shares one rate and one breaker: model and key. Another key is another chance, and so is another
        word for what a deployment serves.
        """
        told = f"{self.spec.api_key}={self.spec.model}" if self.spec else ""
        return f"{self.name.rpartition('@')[0]}#{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def chat(self, known: Capabilities | None) -> CompletionsChat:
        """The chat to ask through; `known` is what was found out about the endpoint before."""
        if self.spec is None or self.problem:
            raise ConfigurationError(self.problem or f"{self.name} is not asked through a chat")
        return make_chat(replace(self.spec, known=known))


def resolve_teachers(settings: Settings, encoder: Encoder) -> tuple[NamedTeacher, ...]:
    """The teachers of ALE_TEACHER in their order; empty for `none`.

    Raises UnknownName and ConfigurationError for what can never work; a missing key is a `problem`.
    """
    entries = [entry.strip() for entry in settings.teacher.split(",") if entry.strip()]
    if "none" in entries and len(entries) > 1:
        raise ConfigurationError(f"ALE_TEACHER={settings.teacher}: `none` stands alone")
    resolved = [_resolve(entry, settings, encoder) for entry in entries]
    found = [teacher for teacher in resolved if teacher is not None]
    names = [teacher.name for teacher in found]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"ALE_TEACHER={settings.teacher} names the same teacher twice")
    return tuple(found)


def llm_options(settings: Settings) -> LLMOptions:
    """How a language model is asked."""
    return LLMOptions(
        votes=settings.llm_votes,
        items_per_call=settings.llm_items_per_call,
        examples=settings.llm_examples,
        concurrency=settings.llm_concurrency,
    )


def budget_of(settings: Settings) -> Budget:
    """The most that paid teachers may cost in each project."""
    return Budget(usd=settings.budget_usd, tokens=settings.budget_tokens)


def price_of(settings: Settings, teacher: NamedTeacher) -> Price | None:
    """The model's price; None when it is not known. Raises ConfigurationError for a broken ALE_PRICES."""
    tariff = tariff_of(settings, teacher)
    return None if tariff is None else tariff.price


def tariff_of(settings: Settings, teacher: NamedTeacher) -> Tariff | None:
    """What the teacher is charged by; None for a free one. Raises ConfigurationError for a broken ALE_PRICES."""
    spec = teacher.spec
    if spec is None:
        return None
    named = f"azure:{spec.deployment}=" if spec.provider == "azure" else "openai:"
    return Tariff(load_prices(settings.prices), spec.model, f"ALE_TEACHER={named}")


def _resolve(entry: str, settings: Settings, encoder: Encoder) -> NamedTeacher | None:
    what, _, version = entry.partition("@")
    provider, _, model = what.partition(":")
    if provider in TEACHERS:
        if version or model:
            raise ConfigurationError(f"ALE_TEACHER={entry}: {provider} has neither models nor prompts")
        free = resolve_teacher(provider, encoder)
        return None if free is None else NamedTeacher(free.name, free=free)
    version = version or DEFAULT_PROMPT
    if provider == "openai":
        spec, problem = _openai(model, settings)
    elif provider == "azure" and model.partition("=")[0]:
        spec, problem = _azure(model, settings)
    else:
        raise UnknownName("teacher", entry, [*TEACHERS, "openai", "openai:MODEL", "azure:DEPLOYMENT[=MODEL]"])
    load_prompt(version)  # raises UnknownName
    return NamedTeacher(f"{_name(spec)}@{version}", spec=spec, prompt=version, problem=problem)


def _openai(model: str, settings: Settings) -> tuple[ChatSpec, str]:
    key, url = settings.openai_api_key.get_secret_value(), settings.openai_base_url
    spec = ChatSpec(model or settings.openai_model, api_key=key, url=url, timeout_s=settings.llm_timeout_s)
    missing = not key and not url  # a server of one's own may ask for none
    return spec, f"OPENAI_API_KEY is not set: {spec.model} is not asked" if missing else ""


def _azure(said: str, settings: Settings) -> tuple[ChatSpec, str]:
    """DEPLOYMENT, which is then called like its model, or DEPLOYMENT=MODEL."""
    deployment, _, model = said.partition("=")
    spec = ChatSpec(
        model or deployment,
        provider="azure",
        deployment=deployment,
        api_key=settings.azure_api_key.get_secret_value(),
        url=settings.azure_endpoint,
        api_version=settings.azure_api_version,
        timeout_s=settings.llm_timeout_s,
    )
    return spec, "" if spec.url else f"AZURE_OPENAI_ENDPOINT is not set: {deployment} is not asked"


def _name(spec: ChatSpec) -> str:
    """The chat's own name, which is wanted without a key too; a chat is made, but asks nobody."""
    if spec.provider == "azure" and not spec.url:
        return f"azure:{spec.deployment}"
    return make_chat(replace(spec, api_key=spec.api_key or "none")).name
