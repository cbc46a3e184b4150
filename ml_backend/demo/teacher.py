"""Who labels first in the demo: what is free, or a paid teacher, which is the stand-in unless it has to be real.

The stand-in speaks OpenAI's and Azure's HTTP and is no model: it knows the sample's labels, and errs on purpose.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ale.errors import ConfigurationError
from ml_backend.private_files import write_private
from ml_backend.settings import Settings, load_settings
from ml_backend.teacher_status import named_teachers

MODEL = "stand-in"
PRICE = {"input": 0.4, "cached": 0.1, "output": 1.6}
"""Play money, per million tokens: what gpt-4.1-mini costs, so that the budget has something to count."""
PER_MINUTE = 6_000

_PREFIXES = ("OPENAI_", "AZURE_", "ALE_BUDGET_", "ALE_LLM_", "ALE_PRICES", "ALE_STOP_PAYING")
TEACHING = frozenset(
    str(field.alias) for field in Settings.model_fields.values() if str(field.alias).startswith(_PREFIXES)
)
"""Settings of paid teachers: the user's reach the demo only with `--real`."""
SECRETS = frozenset({"OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"})


@dataclass(frozen=True, slots=True)
class DemoTeacher:
    """ALE_TEACHER of the demo, and whether paid ones are the real ones."""

    name: str = "zero-shot"
    real: bool = False

    @classmethod
    def of(cls, name: str | None, *, real: bool) -> Self:
        """`--teacher`, else ALE_TEACHER. Raises ConfigurationError when something real lacks its key."""
        settings = load_settings(**({} if name is None else {"teacher": name}))
        found = cls(settings.teacher, real)
        if real and not found.paid:
            raise ConfigurationError(f"--real is for teachers that cost money; {found.name} does not")
        problems = [teacher.problem for teacher in named_teachers(settings) if teacher.problem]
        if real and problems:
            raise ConfigurationError("; ".join(problems))
        return found

    @property
    def paid(self) -> bool:
        """Whether one of them costs money when it is real."""
        return any(_provider(entry) for entry in self.name.split(","))

    @property
    def stand_in(self) -> bool:
        """Whether the stand-in answers."""
        return self.paid and not self.real

    def overrides(self, home: Path, port: int) -> dict[str, Any]:
        """Settings by alias: those of the stand-in, or none of the user's where nobody is paid."""
        if self.real:
            return {"ALE_TEACHER": self.name}
        theirs = {str(field.alias): field.default for field in Settings.model_fields.values()}
        plain: dict[str, Any] = {alias: theirs[alias] for alias in TEACHING}
        if not self.stand_in:
            return {**plain, "ALE_TEACHER": self.name}
        prices = home / "stand-in-prices.json"
        write_private(prices, json.dumps({"models": {MODEL: PRICE}}))
        return {
            **plain,
            "ALE_TEACHER": ",".join(_at_stand_in(entry.strip()) for entry in self.name.split(",")),
            "OPENAI_API_KEY": MODEL,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{port}",
            "AZURE_OPENAI_API_KEY": MODEL,
            "ALE_PRICES": str(prices),
            "ALE_LLM_RPM": PER_MINUTE,
            "ALE_LLM_TPM": 1e7,
        }

    def note(self) -> str:
        """What somebody should know who has a key in the shell; empty when there is nothing to say."""
        keys = sorted(name for name in SECRETS if os.environ.get(name))
        if not self.stand_in or not keys:
            return ""
        return f"{keys[0]} is set, but the demo asks its stand-in; --real asks the real model, and pays"

    def banner(self, settings: Settings) -> str:
        """The line of the welcome panel; empty for teachers that are free."""
        if self.stand_in:
            return (
                "[b yellow]stand-in, not GPT[/]: no model, no key, play money. It knows the authors' labels "
                "and errs in one of four."
            )
        if self.real:
            return f"[b]{self.name}, real and paid[/]: at most ${settings.budget_usd:g} (ALE_BUDGET_USD)."
        return ""


def _provider(entry: str) -> str:
    """openai or azure; empty for what is free."""
    provider = entry.strip().partition("@")[0].partition(":")[0]
    return provider if provider in {"openai", "azure"} else ""


def _at_stand_in(entry: str) -> str:
    """The same provider and prompt with the stand-in's model, whose name says what it is."""
    _, at, version = entry.partition("@")
    provider = _provider(entry)
    return f"{provider}:{MODEL}{at}{version}" if provider else entry
