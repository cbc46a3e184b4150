"""From replies to distributions, on numbers one can check by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ale.chat import TokenProbs
from ale.teachers.llm.confidence import from_logprobs, from_statement, from_votes, hard
from ale.types import Abstention, Answer, Confidence, Usage

CODES = ("A", "B", "C")
CONTENT = '{"label":"A"}'


def reply(top: dict[str, float]) -> list[TokenProbs]:
    """The tokens of the content, with these probabilities where the code stands."""
    at_code = TokenProbs("A", math.log(top["A"]), tuple((t, math.log(p)) for t, p in top.items()))
    return [
        TokenProbs('{"', 0.0),
        TokenProbs("label", 0.0),
        TokenProbs('":"', 0.0),
        at_code,
        TokenProbs('"}', 0.0),
    ]


def read(tokens: list[TokenProbs]) -> tuple[list[float], float]:
    """Probabilities and unseen mass, rounded."""
    found = from_logprobs(tokens, CONTENT, (10, 11), CODES, 0)
    assert found is not None
    return np.round(found[0].astype(float), 4).tolist(), round(found[1], 4)


def test_shown_codes_have_their_mass() -> None:
    """What is shown of all codes needs no spreading."""
    assert read(reply({"A": 0.7, "B": 0.2, "C": 0.1})) == ([0.7, 0.2, 0.1], 0.0)


def test_variants_of_a_code_are_added_up() -> None:
    """With a blank, a quote or in small letters it is the same code; other tokens are left out."""
    probs, unseen = read(reply({"A": 0.4, " A": 0.1, '"B': 0.2, "c": 0.1, "Hmm": 0.2}))
    assert probs == [0.625, 0.25, 0.125]
    assert unseen == 0.0


def test_unseen_mass_is_stated_and_spread() -> None:
    """Evenly over the codes that were not shown, none of them above the least that was."""
    probs, unseen = read(reply({"A": 0.9, "x": 0.06}))
    assert unseen == 0.04
    assert probs == pytest.approx([0.9 / 0.94, 0.02 / 0.94, 0.02 / 0.94], abs=1e-4)
    probs, unseen = read(reply({"A": 0.5, "x": 0.01}))
    assert unseen == 0.49
    assert probs == pytest.approx([0.5 / 0.52, 0.01 / 0.52, 0.01 / 0.52], abs=1e-4)


def test_a_code_of_several_tokens_has_its_joint_probability() -> None:
    """The rest was not shown and goes to the other codes."""
    tokens = [TokenProbs('{"label":"', 0.0), TokenProbs("1", math.log(0.9)), TokenProbs("01", math.log(0.8))]
    tokens.append(TokenProbs('"}', 0.0))
    found = from_logprobs(tokens, '{"label":"101"}', (10, 13), ("100", "101", "102"), 1)
    assert found is not None
    assert found[0].tolist() == pytest.approx([0.14, 0.72, 0.14])
    assert found[1] == pytest.approx(0.28)


def test_a_token_may_hold_more_than_the_code() -> None:
    """Quotes and braces around it are no part of it."""
    tokens = [
        TokenProbs('{"label":', 0.0),
        TokenProbs('"A"}', math.log(0.6), (('"A"}', math.log(0.6)), ('"B"}', math.log(0.4)))),
    ]
    assert read(tokens)[0] == pytest.approx([0.6, 0.4, 0.0])


def test_tokens_that_spell_something_else_are_not_used() -> None:
    """No distribution rather than one from the wrong place."""
    assert from_logprobs(reply({"A": 1.0})[1:], CONTENT, (10, 11), CODES, 0) is None
    assert from_logprobs([], CONTENT, (10, 11), CODES, 0) is None
    assert from_logprobs(reply({"A": 1.0}), CONTENT, (2, 7), CODES, 0) is None


def test_a_place_with_another_code_is_not_used() -> None:
    """The label was read elsewhere: no distribution rather than one that contradicts it."""
    assert from_logprobs(reply({"A": 1.0}), CONTENT, (10, 11), CODES, 1) is None


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"A": 0.2, "B": 0.74, "C": 0.06}, [0.3367, 0.3317, 0.3317]),
        ({"A": 0.45, "B": 0.55}, [0.45, 0.275, 0.275]),
    ],
)
def test_the_label_said_stays_ahead(top: dict[str, float], expected: list[float]) -> None:
    """Where another token was likelier, its own probability counts as a stated one."""
    assert read(reply(top))[0] == pytest.approx(expected, abs=1e-4)


def test_a_tie_goes_to_the_label_said() -> None:
    """Also when another label comes first."""
    at_code = TokenProbs("B", math.log(0.5), (("A", math.log(0.5)), ("B", math.log(0.5))))
    tokens = [TokenProbs('{"label":"', 0.0), at_code, TokenProbs('"}', 0.0)]
    found = from_logprobs(tokens, '{"label":"B"}', (10, 11), ("A", "B"), 1)
    assert found is not None
    assert found[0].tolist() == pytest.approx([0.495, 0.505])


@pytest.mark.parametrize("odd", [float("nan"), -9999.0, float("-inf"), 0.3])
def test_odd_log_probabilities_do_no_harm(odd: float) -> None:
    """Servers send -9999 or NaN for none; the result is a distribution all the same."""
    at_code = TokenProbs("A", -0.1, (("A", -0.1), ("B", odd)))
    found = from_logprobs(
        [TokenProbs('{"label":"', 0.0), at_code, TokenProbs('"}', 0.0)], CONTENT, (10, 11), CODES, 0
    )
    assert found is not None
    assert np.isfinite(found[0]).all()
    assert found[0].sum() == pytest.approx(1.0)
    assert 0.0 <= found[1] <= 1.0


@settings(max_examples=300)
@given(
    tops=st.dictionaries(
        st.sampled_from(["A", "B", "C", " A", "x", '"', "AB"]), st.floats(allow_nan=True), max_size=7
    ),
    own=st.floats(allow_nan=True),
)
def test_always_a_distribution_or_nothing(tops: dict[str, float], own: float) -> None:
    """Whatever numbers a server sends."""
    tokens = [TokenProbs('{"label":"', 0.0), TokenProbs("A", own, tuple(tops.items())), TokenProbs('"}', 0.0)]
    found = from_logprobs(tokens, CONTENT, (10, 11), CODES, 0)
    if found is not None:
        assert found[0].sum() == pytest.approx(1.0, abs=1e-5)
        assert (found[0] >= 0).all()
        assert found[0].argmax() == 0


def test_a_statement_goes_to_its_label() -> None:
    """The rest evenly; a low number does not turn the answer into another one."""
    assert from_statement(1, 0.8, 3).tolist() == pytest.approx([0.1, 0.8, 0.1])
    assert from_statement(0, 0.0, 2).argmax() == 0
    assert from_statement(0, 0.3, 1).tolist() == [1.0]
    assert hard(1, 3).tolist() == [0, 1, 0]


def vote(label: int | None) -> Answer:
    """A sample of three labels that cost ten tokens."""
    usage = Usage(9, 0, 1)
    return (
        Answer(None, Abstention.BAD_JSON, usage=usage)
        if label is None
        else Answer(hard(label, 3), usage=usage)
    )


def test_votes_are_shares_and_never_certain() -> None:
    """One more vote is spread evenly; the tokens of all samples are paid."""
    answer = from_votes([vote(0), vote(0), vote(2)], 3)
    assert answer.probs is not None
    assert answer.probs.tolist() == pytest.approx([7 / 12, 1 / 12, 4 / 12])
    assert answer.confidence is Confidence.VOTES
    assert answer.usage.total == 30


def test_votes_without_a_majority_of_answers_abstain() -> None:
    """With the most frequent reason."""
    assert from_votes([vote(0), vote(None), vote(None), vote(1)], 3).abstention is Abstention.BAD_JSON
    assert from_votes([vote(0), vote(None), vote(1)], 3).probs is not None
