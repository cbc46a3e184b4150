"""Messages of three kinds that nobody can confuse, as many as a test wants, each text only once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

DELIVERY, LOGIN, PRAISE = "Delivery", "Login", "Praise"
LABELS = (DELIVERY, LOGIN, PRAISE)

_OPENERS = ("Hello,", "Hi team:", "Good morning.", "To whom it may concern:", "Dear support,", "Hey!")
_SENTENCES = {
    DELIVERY: (
        "my parcel {n} has still not arrived, where is the courier?",
        "the package {n} was left in the rain and the box came damaged.",
        "tracking for shipment {n} has said 'out for delivery' for a week.",
        "the driver brought order {n} to the wrong street.",
        "when will the delivery of order {n} reach my address?",
        "two of the boxes of shipment {n} are missing from the parcel.",
        "please send parcel {n} to the pick-up point, nobody is home.",
    ),
    LOGIN: (
        "I cannot log in, the password for user {n} is refused.",
        "the reset link for account {n} never reaches my mailbox.",
        "my account {n} is locked after three wrong passwords.",
        "the sign-in code for user {n} does not come to my phone.",
        "I forgot the password of account {n}, how do I reset it?",
        "two-factor login fails for user {n} since I changed my phone.",
        "please unlock my login {n}, the site says access denied.",
    ),
    PRAISE: (
        "what a wonderful lamp, number {n} is the best present ever!",
        "thank you so much, model {n} makes us happy every evening.",
        "great product, we love the warm light of lamp {n}.",
        "just wanted to say that your shop is fantastic, {n} stars from me.",
        "beautiful design, lamp {n} looks lovely in our kitchen, bravo!",
        "excellent quality, I would recommend model {n} to everybody.",
        "brilliant work, lamp {n} is a joy to look at, thanks!",
    ),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A text and the label that everybody would give it."""

    text: str
    label: str


_numbers = count()


def messages(how_many: int) -> list[Message]:
    """That many new messages, the labels taking turns. No text comes twice in a test session."""
    return [_message(turn, next(_numbers)) for turn in range(how_many)]


def _message(turn: int, number: int) -> Message:
    label = LABELS[turn % len(LABELS)]
    opener = _OPENERS[number % len(_OPENERS)]
    sentences = _SENTENCES[label]
    return Message(
        f"{opener} {sentences[turn // len(LABELS) % len(sentences)].format(n=1000 + number)}", label
    )
