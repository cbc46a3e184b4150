"""The fingerprint under which answers are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ale.types import LabelSpace
from ml_backend.store.replies import question_of

SPACE = LabelSpace(("good", "bad"), ("praise", "blame"), "Say what the customer feels.")


def test_answers_that_were_stored_without_aliases_are_found_still() -> None:
    """Where the config has none, the fingerprint is that of the first release: nothing is paid again."""
    assert question_of(SPACE) == "b0da88ff4221114ad12fd3ed4510bac9"


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("bad", "good")},
        {"hints": ("praise", "")},
        {"instructions": "Say what the customer feels!"},
        {"aliases": ((), ("poor",))},
    ],
)
def test_all_that_is_said_besides_the_text_makes_another_question(changes: dict[str, object]) -> None:
    """Another alias lets other replies count, so that an old abstention might be an answer now."""
    changed: LabelSpace = replace(SPACE, **changes)  # type: ignore[arg-type]
    assert question_of(changed) != question_of(SPACE)
    assert question_of(replace(changed, aliases=(("fine",), ()))) != question_of(changed)
