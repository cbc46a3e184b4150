"""`python -m ml_backend.demo.standin PORT`: the demo's stand-in, not GPT. It knows the sample's labels."""

from __future__ import annotations

import sys

from ale.io.chat.local import LocalLimiter, LocalMeter
from ale.io.chat.polite import PoliteChat
from ale.teachers.llm import LLMTeacher
from ml_backend.demo import sample
from ml_backend.demo.teacher import MODEL
from ml_backend.learning import Learning
from ml_backend.settings import Settings
from ml_backend.standin import SimulatedPolicy, StandIn
from ml_backend.teachers import llm_options, price_of

ERRORS = 0.25
"""About what language models get wrong in tasks like this one; told in the welcome panel."""
LATENCY_S = 0.1


def stand_in(port: int) -> StandIn:
    """A server that answers about the sample's messages, held-out ones too."""
    gold = {message.text: message.label for message in (*sample.pool(), *sample.held_out())}
    return StandIn(
        SimulatedPolicy(gold, ERRORS, seed=1), latency_s=LATENCY_S, port=port, models=(MODEL,), stage_s=2.0
    )


def measured_teacher(settings: Settings, learning: Learning) -> LLMTeacher:
    """The demo's first paid teacher, to be measured on held-out messages: at the stand-in, outside of any budget."""
    named = next(teacher for teacher in learning.teachers if teacher.paid)
    chat = named.chat(None)
    polite = PoliteChat(chat, LocalLimiter(), LocalMeter(chat.model, price_of(settings, named)))
    return LLMTeacher(polite, llm_options(settings), named.prompt)


def main() -> None:
    """Serve until told to stop."""
    with stand_in(int(sys.argv[1])) as server:
        server.wait()


if __name__ == "__main__":
    main()
