"""Reading replies: what is a label, what is not, and never one that the config does not have."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ale.chat import ChatReply
from ale.teachers.llm.codes import codes_for
from ale.teachers.llm.names import Names, normal
from ale.teachers.llm.parse import MAX_CHARS, Verdict, read_batch, read_reply
from ale.types import Abstention, LabelSpace

LABELS = LabelSpace(("Positive", "Negative", "a, b"), aliases=(("pos",), (), ("both",)))
NAMES = Names(LABELS)
CODED = Names(LABELS, codes_for(LABELS))


def said(content: str | None, finish_reason: str = "stop", refusal: str | None = None) -> Verdict:
    """The verdict on a reply of that content."""
    return read_reply(ChatReply(content, refusal, finish_reason), NAMES)


@pytest.mark.parametrize(
    "content",
    [
        '{"label": "Positive"}',
        '{"label": "POSITIVE "}',
        '{"label": "pos"}',
        '{"label": ["Positive"]}',
        '{"label": "Positive", "why": "because {it} is"}',
        'Sure:\n```json\n{"label": "Positive"}\n```\nAnything else?',
        '<think>{"label": "Negative"}? No.</think>{"label": "Positive"}',
        "Positive",
        " positive.\n",
        '"Positive"',
        "**Positive**",
        "```\nPositive\n```",
    ],
)
def test_a_label_is_found(content: str) -> None:
    """In an object, whatever stands around it, or alone; by name or alias, in any case."""
    assert said(content).label == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", Abstention.BAD_JSON),
        (" \n\t", Abstention.BAD_JSON),
        ("{}", Abstention.BAD_JSON),
        ("null", Abstention.UNKNOWN_LABEL),
        ("[]", Abstention.BAD_JSON),
        ('{"label": "Positive"', Abstention.BAD_JSON),
        ("{'label': 'Positive'}", Abstention.BAD_JSON),
        ('{"label": "Positive"} {"label": "Positive"}', Abstention.BAD_JSON),
        ('{"examples": [{"label": "Negative"}], "label": "Positive', Abstention.BAD_JSON),
        ('{"result": {"label": "Positive"}}', Abstention.BAD_JSON),
        ('{"label": {"name": "Positive"}}', Abstention.BAD_JSON),
        ("I would say that this text is Positive", Abstention.BAD_JSON),
        ("Positive Explanation: the review praises the film", Abstention.BAD_JSON),
        ('{"a":' * 30_000, Abstention.BAD_JSON),
        ('{"label": ' + "9" * 5000 + "}", Abstention.BAD_JSON),
        ("Positive" + " " * MAX_CHARS, Abstention.BAD_JSON),
        ("Mixed", Abstention.UNKNOWN_LABEL),
        ('{"label": "Mixed"}', Abstention.UNKNOWN_LABEL),
        ('{"label": "Positiv"}', Abstention.UNKNOWN_LABEL),
        ('{"label": "Positive."}', Abstention.UNKNOWN_LABEL),
        ('{"label": "A"}', Abstention.UNKNOWN_LABEL),
        ('{"label": 0.5}', Abstention.UNKNOWN_LABEL),
        ('{"label": NaN}', Abstention.UNKNOWN_LABEL),
        ('{"label": true}', Abstention.UNKNOWN_LABEL),
        ('{"label": null}', Abstention.CARDINALITY),
        ('{"label": ""}', Abstention.CARDINALITY),
        ('{"label": []}', Abstention.CARDINALITY),
        ('{"label": ["Positive", "Positive"]}', Abstention.CARDINALITY),
        ('{"label": "Positive", "label": "Negative"}', Abstention.CARDINALITY),
        ('{"label": "Positive and Negative"}', Abstention.CARDINALITY),
        ("Positive, Negative", Abstention.CARDINALITY),
        (None, Abstention.REFUSAL),
    ],
)
def test_everything_else_is_an_abstention_with_its_reason(content: str | None, reason: Abstention) -> None:
    """What has no form, what no label is called, and what names several."""
    assert said(content).abstention is reason


def test_the_provider_speaks_before_the_content() -> None:
    """A filter, a refusal and a cut count whatever the content looks like."""
    good = '{"label": "Positive"}'
    assert said(good, finish_reason="content_filter").abstention is Abstention.CONTENT_FILTER
    assert said(good, refusal="I cannot").abstention is Abstention.REFUSAL
    assert said(good, finish_reason="length").abstention is Abstention.TRUNCATED
    assert said(None, finish_reason="length").abstention is Abstention.TRUNCATED


def test_a_label_that_looks_like_a_list_is_a_label() -> None:
    """Names are matched whole before anything is read into them."""
    assert said('{"label": "a, b"}').label == 2
    assert said("a, b").label == 2


def test_labels_that_differ_only_in_case_are_matched_exactly() -> None:
    """An exact name decides; another spelling could mean either and is refused."""
    names = Names(LabelSpace(("Yes", "yes", "cafe\u0301")))
    assert [names.find(name) for name in ("Yes", "yes", "YES")] == [0, 1, None]
    assert names.find("CAF\u00c9") == 2


def test_an_alias_of_two_labels_means_neither() -> None:
    """And a label's own name goes before another's alias."""
    names = Names(LabelSpace(("a", "b", "c"), aliases=(("x", "b"), ("x",), ())))
    assert names.find("x") is None
    assert names.find("b") == 1


def test_codes_are_letters_that_no_label_is_called() -> None:
    """Letters, else three-digit numbers, else none; labels called A to Z leave no letter."""
    assert codes_for(LABELS) == ("A", "B", "C")
    assert codes_for(LabelSpace(("b", "A", "x"), aliases=((), ("c",), ()))) == ("D", "E", "F")
    assert codes_for(LabelSpace(tuple("ABC"))) == ("D", "E", "F")
    many = codes_for(LabelSpace(tuple(map(str, range(90, 130)))))
    assert len(many) == 40
    assert many[0] == "130"
    assert codes_for(LabelSpace(tuple(f"label {i}" for i in range(1000)))) == ()


def test_codes_are_found_with_their_place() -> None:
    """The place is where log-probabilities are looked up; where it is not sure, there is none."""
    content = 'Well: {"label": "B"}'
    verdict = read_reply(ChatReply(content), CODED)
    assert verdict.label == 1
    assert verdict.span is not None
    assert content[slice(*verdict.span)] == "B"
    assert read_reply(ChatReply('"label": "A" or {"label": "B"}'), CODED).span is None


@pytest.mark.parametrize(
    ("value", "stated"),
    [("0.7", 0.7), ("1", 1.0), ("0", 0.0)]
    + [(bad, None) for bad in ("1.2", "95", "-0.1", "NaN", "Infinity", "true", '"0.7"', "null", "[1]")],
)
def test_a_stated_confidence_is_a_number_from_0_to_1(value: str, stated: float | None) -> None:
    """Anything else was not said; the label stays."""
    verdict = said(f'{{"label": "Positive", "confidence": {value}}}')
    assert (verdict.label, verdict.stated) == (0, stated)


def batch(*answers: object) -> dict[str, Verdict]:
    """The verdicts on a reply about the items x and y."""
    return read_batch(ChatReply(json.dumps({"answers": answers})), NAMES, ["x", "y"])


def test_items_are_told_apart_by_their_ids() -> None:
    """In any order; an unknown id is nobody's answer."""
    verdicts = batch(
        {"id": "y", "label": "Negative"}, {"id": "z", "label": "Negative"}, {"id": "x", "label": "Positive"}
    )
    assert (verdicts["x"].label, verdicts["y"].label) == (0, 1)


def test_a_missing_or_repeated_id_is_a_wrong_item() -> None:
    """Even when both answers say the same: the text of one of them was not looked at."""
    verdicts = batch({"id": "x", "label": "Positive"}, {"id": "x", "label": "Positive"})
    assert {verdict.abstention for verdict in verdicts.values()} == {Abstention.WRONG_ITEM}
    assert batch({"label": "Positive"}, {"id": "y", "label": "pos"})["x"].abstention is Abstention.WRONG_ITEM


@pytest.mark.parametrize("content", ['{"answers": 3}', '{"answers": ["Positive"]}', "{}", "x", "[1]"])
def test_a_reply_about_several_texts_needs_its_list(content: str) -> None:
    """Nothing else is read."""
    assert read_batch(ChatReply(content), NAMES, ["x"])["x"].abstention is Abstention.BAD_JSON


NOISE = st.text(max_size=40) | st.sampled_from(
    ["{", "}", "[", "]", '"', ":", ",", "```", "null", "\\", "label", '"label"', "</think>", "\ud800", "\x00"]
)
NEAR = st.sampled_from(
    [*LABELS.labels, "pos", "Positiv", "Mixed", "A", "B", "Negativ e", "POSITIVE", "a", ""]
)
VALUES = st.recursive(
    NEAR | st.none() | st.booleans() | st.integers() | st.floats() | NOISE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NEAR | st.just("label"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = VALUES.map(lambda value: json.dumps({"label": value}))
REPLIES = st.lists(NOISE | NEAR | OBJECTS | VALUES.map(json.dumps), max_size=5).map("".join)


@settings(max_examples=1500)
@given(content=REPLIES, coded=st.booleans())
def test_no_label_is_ever_made_up(content: str, coded: bool) -> None:
    """Whatever comes back: a label of the config that the reply really names, or a reason."""
    verdict = read_reply(ChatReply(content), CODED if coded else NAMES)
    if verdict.label is None:
        assert verdict.abstention is not None
        return
    names = [LABELS.labels[verdict.label], *LABELS.aliases[verdict.label]]
    names += [codes_for(LABELS)[verdict.label]] if coded else []
    # JSON may write a name with escapes; undone, it must stand there.
    plain = content.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert any(normal(name) in unicodedata.normalize("NFC", plain.casefold()) for name in names)


@settings(max_examples=500)
@given(content=REPLIES | VALUES.map(lambda v: json.dumps({"answers": [{"id": "x", "label": v}]})))
def test_no_label_is_ever_made_up_for_several_texts(content: str) -> None:
    """Each id that was asked for gets a label of the config or a reason, and no other id does."""
    verdicts = read_batch(ChatReply(content), NAMES, ["x", "y"])
    assert set(verdicts) == {"x", "y"}
    assert all(v.label is None or 0 <= v.label < len(LABELS) for v in verdicts.values())
