"""The single-choice control: what it reads from a config, from tasks and from people's answers."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest

from ale.errors import LabelSpaceMismatch
from ml_backend.controls import Control, UnsupportedConfig, find_control

TEXT = '<Text name="text" value="$text"/>'


def config(*values: str, attributes: str = 'choice="single"', text: str = TEXT, more: str = "") -> str:
    """A labelling config with one Choices control called `label`."""
    choices = "".join(f"<Choice value={quoteattr(value, {chr(10): '&#10;'})}/>" for value in values)
    return f'<View>{text}<Choices name="label" toName="text" {attributes}>{choices}</Choices>{more}</View>'


def item(value: object, name: str = "label", **more: object) -> dict[str, object]:
    """A result item of Label Studio."""
    return {"from_name": name, "to_name": "text", "type": "choices", "value": value, **more}


@pytest.mark.parametrize("attributes", ["", 'choice="single"', 'choice="single-radio"', 'choice=""'])
def test_single_is_the_default(attributes: str) -> None:
    """Without `choice`, and for both ways to draw it, the control takes one answer."""
    assert find_control(config("a", "b", attributes=attributes)).label_space.labels == ("a", "b")


def test_names_field_and_hints() -> None:
    """Names and field tie to the config; hints are what annotators read."""
    control = find_control(
        """<View><Text name="t" value="$body"/><Choices name="c" toName="t">
           <Choice value="Good" hint="praise"/><View><Choice value="Very bad" alias="bad" hint="complaint"/></View>
           <Choice value="Meh" alias="meh"/></Choices></View>"""
    )
    assert (control.from_name, control.to_name, control.field) == ("c", "t", "body")
    assert control.label_space.labels == ("Good", "bad", "meh")
    assert control.label_space.hints == ("praise", "Very bad: complaint", "Meh")
    assert control.label_space.aliases == ((), ("Very bad",), ("Meh",))


ODD = ("a, b", 'say "x"', "two\nlines", "😀", "Straße", "STRASSE", "straße", "<b>&", "{x} %s $y", "א")


def test_odd_labels_work() -> None:
    """Commas, quotes, line breaks, emoji and labels that are equal after casefold stay what they are."""
    control = find_control(config(*ODD))
    assert control.label_space.labels == ODD
    for label in ODD:
        assert control.read_label([control.region(label)]) == label


def test_many_labels_and_a_single_one() -> None:
    """500 labels work, and so does one."""
    names = [f"label {i}" for i in range(500)]
    assert len(find_control(config(*names)).label_space) == 500
    assert find_control(config("only")).label_space.labels == ("only",)


@pytest.mark.parametrize(
    ("label_config", "words"),
    [
        ("", "empty"),
        (None, "empty"),
        ("   ", "empty"),
        ("<View>", "not valid XML (line 1"),
        ("hello", "not valid XML"),
        ("\ud800", "not valid XML"),
        ("<View>" + "x" * 1_000_001 + "</View>", "longer than"),
        (config("a", attributes='choice="multiple"'), "several answers"),
        (config("a", attributes='choice="triple"'), "unknown choice"),
        (config("a", attributes='perRegion="true"'), "perRegion"),
        (config("a", attributes='value="$options"'), "each task's data"),
        (config("a", attributes='visibleWhen="region-selected"'), "condition"),
        (config(), "no <Choice>"),
        (config("", " "), "no <Choice>"),
        (config("a", "a"), "twice"),
        (config("a", text='<Image name="text" value="$text"/>'), "not a <Text>"),
        (config("a", text='<Text name="other" value="$text"/>'), "not a <Text>"),
        (config("a", text='<Text name="text" value="words"/>'), "one data field"),
        (config("a", text='<Text name="text" value="$a and $b"/>'), "one data field"),
        (config("a", text='<Text name="text" value="$text" valueType="url"/>'), "address"),
        (f'<View>{TEXT}<Labels name="n" toName="text"><Label value="x"/></Labels></View>', 'Labels "n"'),
        ("<View/>", "nothing with a name"),
        (
            config("a").replace('"a"/>', '"a"><Choice value="b"/></Choice>'),
            "nested",
        ),
        (
            config(
                "a",
                attributes='required="true"',
                more='<Choices name="two" toName="text" required="true"><Choice value="x"/></Choices>',
            ),
            'required="true" off the others',
        ),
    ],
)
def test_refused_with_words_for_the_author(label_config: object, words: str) -> None:
    """What cannot work is refused with the reason, what is supported, and a config to paste."""
    with pytest.raises(UnsupportedConfig) as refused:
        find_control(label_config)
    assert words in str(refused.value)
    assert '<Choices choice="single">' in str(refused.value)
    assert "label_config/text-classification.xml" in str(refused.value)


def test_xml_bombs_and_outside_entities_are_refused() -> None:
    """Nothing is expanded, and no file is read."""
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;">]><View>&c;</View>'
    outside = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>'
    for label_config in (bomb, outside):
        with pytest.raises(UnsupportedConfig, match="document type"):
            find_control(label_config)


SECOND = '<Choices name="second" toName="text"{}><Choice value="x"/></Choices>'


def test_other_controls_are_left_alone() -> None:
    """Beside other controls, the required single-choice question is taken, else the first."""
    comment = '<TextArea name="comment" toName="text"/>'
    many = '<Choices name="tags" toName="text" choice="multiple"><Choice value="t"/></Choices>'
    assert find_control(config("a", more=comment + many)).from_name == "label"
    assert find_control(config("a", more=SECOND.format(""))).from_name == "label"
    assert find_control(config("a", more=SECOND.format(' required="true"'))).from_name == "second"
    assert (
        find_control(config("a", attributes='choice="multiple"', more=SECOND.format(""))).from_name
        == "second"
    )


@pytest.fixture
def control() -> Control:
    """Labels Pos and Neg on field `text`."""
    return find_control(config("Pos", "Neg"))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"text": "hello"}, "hello"),
        ({"text": 7}, 7),
        ({"text": None, "$undefined$": "x"}, None),
        ({"$undefined$": "hello"}, "hello"),
        ({"other": "hello"}, None),
        ([], None),
        (None, None),
        ("hello", None),
    ],
)
def test_text(control: Control, data: object, value: object) -> None:
    """The value of the field as it is; plain lines lie under `$undefined$`."""
    assert control.text(data) == value


def test_text_of_odd_fields() -> None:
    """`$undefined$` takes the only string of the data, dots reach into objects."""
    undefined = find_control(config("a", text='<Text name="text" value="$undefined$"/>'))
    assert undefined.text({"line": "hello", "ale_review_reason": "x", "n": 3}) == "hello"
    assert undefined.text({"line": "hello", "other": "which?"}) is None
    nested = find_control(config("a", text='<Text name="text" value="$mail.body"/>'))
    assert nested.text({"mail": {"body": "hello"}}) == "hello"
    assert nested.text({"mail.body": "flat"}) == "flat"
    assert nested.text({"mail": "no object"}) is None


def test_region(control: Control) -> None:
    """A result item as Label Studio stores it, with the same id each time."""
    assert control.region("Pos", 0.75) == {
        "id": "ale-4fa1d5c6fa",
        "from_name": "label",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": ["Pos"]},
        "score": 0.75,
    }
    assert "score" not in control.region("Neg")
    assert control.region("Neg")["id"] != control.region("Pos")["id"]


@pytest.mark.parametrize("label", ["pos", "Pos ", "", "Other"])
def test_only_exact_labels_leave(control: Control, label: str) -> None:
    """A near match is another label."""
    with pytest.raises(LabelSpaceMismatch):
        control.region(label)


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.1, float("inf")])
def test_only_probabilities_leave(control: Control, confidence: float) -> None:
    """Label Studio stores NaN as null and anything else unchecked."""
    with pytest.raises(ValueError, match="not in"):
        control.region("Pos", confidence)


@pytest.mark.parametrize(
    ("result", "label"),
    [
        ([item({"choices": ["Pos"]}, id="x", origin="manual")], "Pos"),
        ([item({"choices": ["Gone"]})], "Gone"),
        ([], None),
        ([item({"choices": []})], None),
        ([item({"choices": ["Pos", "Neg"]})], None),
        ([item({"choices": ["Pos"]}), item({"choices": ["Neg"]})], None),
        ([item({"choices": ["Pos"]}, name="other")], None),
        ([item({"text": ["a comment"]}, name="comment"), item({"choices": ["Neg"]})], "Neg"),
        ([item({"choices": "Pos"})], None),
        ([item({"choices": [["Pos"]]})], None),
        ([item(None)], None),
        ([{}], None),
    ],
)
def test_read_label(control: Control, result: list[dict[str, object]], label: str | None) -> None:
    """One label, or None for an empty answer, several answers and other controls."""
    assert control.read_label(result) == label


def test_read_values_compares_answers_and_nothing_else(control: Control) -> None:
    """Equal answers are equal whatever their ids, order, origin and scores; other answers are not."""
    mine = [
        item({"choices": ["b", "a"]}, id="1", origin="manual"),
        item({"text": ["hi"]}, name="comment", id="2"),
    ]
    same = [item({"text": ["hi"]}, name="comment", id="9"), item({"choices": ["a", "b"]}, score=0.5)]
    other = [item({"choices": ["a"]})]
    assert control.read_values(mine) == control.read_values(same)
    assert control.read_values(mine) != control.read_values(other)
    assert control.read_values([]) == {}
    assert control.read_values([{"type": "relation", "from_id": "a"}, item(None)]) == {}


def test_fingerprint_follows_the_question() -> None:
    """Cosmetic changes leave it, a label, hint, order, name or field changes it."""
    base = find_control(config("a", "b")).fingerprint
    assert find_control(config("a", "b", attributes='showInline="true"')).fingerprint == base
    changed = [
        config("b", "a"),
        config("a"),
        config("a", "b").replace('name="label"', 'name="other"'),
        config("a", "b").replace("$text", "$body"),
        config("a", "b").replace('value="a"', 'value="a" hint="h"'),
    ]
    assert base not in {find_control(c).fingerprint for c in changed}
