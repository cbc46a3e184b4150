"""What a model costs: one table with a date, and a file of one's own over it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ale.errors import ConfigurationError, TeacherRefused
from ale.types import Usage

_DEAREST = 1e6
"""No model costs a dollar per token: more is a slip of the pen, or no number at all."""

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. `cached` is for prompt tokens that the provider had in its cache.

    `training` is for tokens that make a fine-tuned model, each epoch counted; None where that is not known.
    """

    input: float
    cached: float
    output: float
    training: float | None = None

    def usd(self, usage: Usage) -> float:
        """What an answer cost."""
        fresh = usage.prompt - usage.cached
        return (fresh * self.input + usage.cached * self.cached + usage.completion * self.output) / 1e6

    def at_most(self, prompt: int, completion: int) -> float:
        """What a call of so many tokens can cost in USD: nothing cached, all of the completion used."""
        return self.usd(Usage(prompt, 0, completion))


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model name, and when they were last compared with the provider's."""

    prices: Mapping[str, Price]
    checked: str
    own: frozenset[str] = frozenset()
    """Names whose price is of a file of one's own."""

    def of(self, model: str) -> Price | None:
        """The price of exactly this model, else of the one it is a dated version of; None when unknown.

        A fine-tuned model `ft:BASE:organisation:...` has the price of `ft:BASE`.
        """
        name = self.listed(model)
        return None if name is None else self.prices[name]

    def listed(self, model: str) -> str | None:
        """The name in the table under which the price of this model stands."""
        if model.startswith("ft:"):
            model = ":".join(model.split(":")[:2])
        return next((name for name in (model, _DATED.sub("", model)) if name in self.prices), None)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What answers are charged by: the price of `model`, while that is who answers.

    `setting` is what names the model, up to the model's own name, e.g. `ALE_TEACHER=openai:`.
    """

    table: PriceTable
    model: str
    setting: str

    @property
    def price(self) -> Price | None:
        """What we charge by; None where it is not known."""
        return self.table.of(self.model)

    def other(self, answered: str) -> str | None:
        """The listed name of the model that answered, if it has another price than ours; else None.

        A price of one's own was put there by somebody who knows what answers: it is not doubted. Neither is a
        name that the table does not have, which says nothing: servers of one's own call their models anything.
        """
        ours, theirs = self.table.listed(self.model), self.table.listed(answered)
        if ours is None or theirs is None or ours in self.table.own:
            return None
        return theirs if self.table.prices[theirs] != self.table.prices[ours] else None

    def usd(self, usage: Usage, answered: str) -> float:
        """What an answer of that model cost, by our price or by its own, whichever is more; 0 when unknown."""
        prices = [self.price, self.table.of(self.other(answered) or self.model)]
        return max((price.usd(usage) for price in prices if price is not None), default=0.0)

    def refusal(self, answered: str) -> TeacherRefused | None:
        """Why nothing more may be asked after this answer; None when all is well."""
        other = self.other(answered)
        if other is None:
            return None
        return TeacherRefused(
            f"it is {other} that answers, whose price is not that of {self.model}, by which we charge: set "
            f"{self.setting}{other}, or give {self.model} its price in a file (ALE_PRICES)",
            reason="other_model",
        )


def load_prices(own: Path | None = None) -> PriceTable:
    """The shipped table; prices of the file `own` (same form) stand before it. Raises ConfigurationError."""
    shipped = _table(
        json.loads(files("ale.io.chat").joinpath("prices.json").read_text("utf-8")), "prices.json"
    )
    if own is None:
        return shipped
    try:
        data = json.loads(own.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the price file {own} cannot be read: {error}") from error
    added = _table(data, str(own))
    return PriceTable(
        {**shipped.prices, **added.prices}, added.checked or shipped.checked, frozenset(added.prices)
    )


def _table(data: Any, place: str) -> PriceTable:
    models = data.get("models") if isinstance(data, Mapping) else None
    if not isinstance(models, Mapping):
        raise ConfigurationError(f'{place} is not like {{"models": {{"NAME": {{"input": 0.4, ...}}}}}}')
    return PriceTable(
        {str(name): _price(name, entry, place) for name, entry in models.items()},
        str(data.get("checked", "")),
    )


def _price(name: str, entry: Any, place: str) -> Price:
    """`cached` may be left out: then cached tokens cost as much as others. So may `training`."""
    entry = entry if isinstance(entry, Mapping) else {}
    training = entry.get("training")
    numbers = [entry.get("input"), entry.get("cached", entry.get("input")), entry.get("output")]
    if not all(_is_price(number) for number in numbers) or not (training is None or _is_price(training)):
        raise ConfigurationError(
            f"{place}: the price of {name!r} needs numbers for input and output (cached and training if it has "
            "them), in USD per million tokens"
        )
    fresh, cached, output = (float(n) for n in numbers)
    return Price(fresh, cached, output, None if training is None else float(training))


def _is_price(number: object) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _DEAREST
