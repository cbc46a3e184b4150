"""What the review project is and how its page looks: the text, what is said of its label, and one question.

The config is built as a tree, never as text, so that no label needs quoting. Labels of a single task are not in
it at all: they come from the task's data.
"""

from __future__ import annotations

from html import escape
from xml.etree.ElementTree import Element, SubElement, tostring

from ale.types import LabelSpace
from ml_backend.controls import Control, Json
from ml_backend.controls.markup import attribute, elements, parse

TEXT, CURRENT, SUGGESTED, WHY, WHERE = "text", "current_label", "suggested_label", "why", "where"
"""Data fields of a review task, each shown in its place."""

SAMPLING = "Uncertainty sampling"
TITLE_CHARS = 50  # Label Studio takes no longer title

_QUESTION = (
    "Which label is right? The suggestion is chosen already; choose the current label to confirm it. "
    "Not sure: skip."
)
_STYLE = (
    ".ale-text {padding: 16px; margin-bottom: 16px; border: 1px solid #b4b4b4; border-radius: 8px} "
    ".ale-text * {font-size: 22px; line-height: 1.45} "
    ".ale-facts {padding: 0 16px 8px; margin-bottom: 16px; border-left: 4px solid #ffa663} "
    ".ale-why * {font-size: 16px; line-height: 1.5} "
    ".ale-where {margin-top: 24px} .ale-where * {font-size: 13px; font-weight: normal}"
)
_KEPT = ("value", "alias", "hint", "hotkey", "html")
"""What a choice brings along from the original; not `selected`, which would compete with the suggestion."""


def review_config(label_config: str, control: Control) -> str:
    """The labelling config: the same labels as in the original, with their hints and keys."""
    view = Element("View")
    SubElement(view, "Style").text = _STYLE
    SubElement(SubElement(view, "View", className="ale-text"), "Text", name=TEXT, value=f"${TEXT}")
    facts = SubElement(view, "View", className="ale-facts")
    SubElement(facts, "Header", value=f"Current label: ${CURRENT}", size="4")
    SubElement(facts, "Header", value=f"Suggested: ${SUGGESTED}", size="4")
    SubElement(facts, "Header", value="Why", size="5")
    SubElement(SubElement(facts, "View", className="ale-why"), "Text", name=WHY, value=f"${WHY}")
    SubElement(view, "Header", value=_QUESTION, size="5")
    choices = SubElement(view, "Choices", name="label", toName=TEXT, choice="single", required="true")
    for values in _choices(label_config, control):
        SubElement(choices, "Choice", values)
    SubElement(SubElement(view, "View", className="ale-where"), "Header", value=f"${WHERE}", size="6")
    return tostring(view, encoding="unicode")


def project_values(key: str, theirs: Json, config: str) -> Json:
    """Columns of the review project, for a project as Label Studio describes it."""
    return {
        "title": f"Review: {theirs['title']}"[:TITLE_CHARS],
        "description": marked(key),
        "label_config": config,
        "sampling": SAMPLING,
        "show_collab_predictions": True,
        "maximum_annotations": 1,
        "enable_empty_annotation": False,
        "expert_instruction": f"<p>{escape(_QUESTION)}</p>{theirs.get('expert_instruction') or ''}",
        "show_instruction": False,
    }


def marked(key: str) -> str:
    """By this description a review project is known again whose number was lost."""
    return f"Doubtful labels of another project, to be reviewed. Made by ALE for {key}."


def shown(label: str, space: LabelSpace) -> str:
    """A label as people see it: where results hold an alias, the name on the button."""
    at = space.index(label)
    names = () if at is None or not space.aliases else space.aliases[at]
    return names[0] if names else label


def _choices(label_config: str, control: Control) -> list[dict[str, str]]:
    question = next(
        element
        for element in elements(parse(label_config), control.tag)
        if attribute(element, "name") == control.from_name
    )
    found = []
    for choice in elements(question, "Choice"):
        values = {name: attribute(choice, name) for name in _KEPT}
        if (values["alias"] or values["value"]).strip():
            found.append({name: value for name, value in values.items() if value})
    return found
