"""A stand-in for OpenAI's and Azure OpenAI's endpoints, for tests and for the demo. It is not GPT.

with StandIn(SimulatedPolicy(gold)) as standin:
    client = openai.OpenAI(base_url=standin.base_url, api_key="any")
"""

from ml_backend.standin.asked import Asked, Item
from ml_backend.standin.behaviours import Behaviour, error, hang, rate_limit
from ml_backend.standin.calls import Call, CallLog
from ml_backend.standin.catalogue import BEHAVIOURS
from ml_backend.standin.policies import (
    ByModel,
    KeywordPolicy,
    Policy,
    RecordedPolicy,
    Reply,
    Said,
    SimulatedPolicy,
)
from ml_backend.standin.profiles import (
    FULL,
    LOGPROBS_REFUSED,
    NO_LOGPROBS,
    NO_SCHEMA,
    PLAIN,
    PROFILES,
    REASONING,
    REASONING_FORBIDDING,
    Profile,
)
from ml_backend.standin.script import Occasion, PathFaults, Script, always, on_calls, share, share_of_texts
from ml_backend.standin.server import StandIn

__all__ = [
    "BEHAVIOURS",
    "FULL",
    "LOGPROBS_REFUSED",
    "NO_LOGPROBS",
    "NO_SCHEMA",
    "PLAIN",
    "PROFILES",
    "REASONING",
    "REASONING_FORBIDDING",
    "Asked",
    "Behaviour",
    "ByModel",
    "Call",
    "CallLog",
    "Item",
    "KeywordPolicy",
    "Occasion",
    "PathFaults",
    "Policy",
    "Profile",
    "RecordedPolicy",
    "Reply",
    "Said",
    "Script",
    "SimulatedPolicy",
    "StandIn",
    "always",
    "error",
    "hang",
    "on_calls",
    "rate_limit",
    "share",
    "share_of_texts",
]
