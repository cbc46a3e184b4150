"""The labelling config changes while the project runs: no label outside the current one is ever published."""

from __future__ import annotations

import pytest

from tests.e2e.loop import PATIENCE_S, Loop, NewLoop, choose, chosen, config, wait_until
from tests.e2e.messages import DELIVERY, LABELS, LOGIN, PRAISE, Message, messages

pytestmark = pytest.mark.e2e


def set_config(loop: Loop, label_config: str) -> None:
    """Save another labelling config, as on the settings page."""
    loop.ask("PATCH", f"projects/{loop.project_id}/", json={"label_config": label_config})


def suggested(loop: Loop) -> set[str | None]:
    """All labels of the version in force."""
    return set(loop.suggested().values())


def test_an_added_label_is_learnt_and_a_renamed_one_dies(new_loop: NewLoop) -> None:
    """A label added: old annotations count, the new one is predicted once learnt. A label renamed: the dead name
    is never predicted, and its annotations are counted as label_not_in_config.
    """
    loop = new_loop(messages(12))
    loop.add_labelled(messages(15))
    loop.start()
    before = loop.version

    set_config(loop, config([*LABELS, "Weather"]))
    rain = [f"It rains {n} millimetres today and the sun is gone behind the clouds." for n in range(16)]
    added = loop.add([Message(text, "Weather") for text in rain])
    weather = [task_id for task_id in added if task_id in loop.free]
    for task_id in weather[:4]:
        loop.annotate(task_id)
    run = loop.learn()
    assert run.n_labels == 19
    assert loop.version != before
    assert chosen(loop.predictions()[weather[5]]["result"]) == "Weather"
    assert suggested(loop) <= {*LABELS, "Weather"}

    renamed = ["Shipping", LOGIN, PRAISE, "Weather"]
    set_config(loop, config(renamed))
    run = loop.learn()
    assert run.counts["excluded"] == {"label_not_in_config": 5}
    assert run.n_labels == 14
    assert suggested(loop) <= set(renamed)
    assert loop.versions[0].labels == renamed
    # The annotation itself is as its author left it.
    dead = next(t for t, label in loop.truth.items() if label == DELIVERY and loop.annotations(t))
    assert [chosen(a["result"]) for a in loop.annotations(dead)] == [DELIVERY]


def test_an_unusable_config_is_explained_and_a_good_one_heals(new_loop: NewLoop) -> None:
    """Unsupported: a problem in words for the user, the last version stays, annotators go on; then all is well."""
    loop = new_loop(messages(15))
    loop.start()
    version = loop.version
    set_config(loop, config().replace('choice="single"', 'choice="multiple"'))
    wait_until(lambda: "cannot be used" in loop.row.problem, PATIENCE_S, "the problem is said")

    def tries() -> int:
        return int(loop.ale.services.marks.counts().get("learn:failed:UnsupportedConfig", 0))

    wait_until(lambda: tries() > 0, PATIENCE_S, "the failure is counted, a moment after it was said")
    before = tries()
    loop.settle(timeout=5)
    assert tries() <= before + 1, "no hot loop"
    assert loop.theirs["model_version"] == version
    task = loop.next_task()
    assert task is not None
    loop.annotate(int(task["id"]))
    uid = f"{loop.project_id}.{loop.row.created_at}"
    config_now = loop.theirs["label_config"]
    answer = loop.ale.web("POST", "/setup", json={"project": uid, "schema": config_now})
    assert answer.json()["model_version"] == version
    assert "cannot be used" in answer.json()["problem"]
    body = {"project": uid, "label_config": config_now, "tasks": [{"id": 1, "data": {"text": "x"}}]}
    assert loop.ale.web("POST", "/predict", json=body).json() == {"results": [[]]}
    set_config(loop, config())
    loop.learn()
    assert loop.row.problem == ""
    assert loop.last_run.n_labels == 1


def test_labels_with_commas_quotes_and_emoji_survive(new_loop: NewLoop) -> None:
    """Every character of a label comes back as it stands in the config."""
    labels = ['Late, lost or "gone"', "Can't log in <here> & now", "👍🏽 très bien; שלום"]
    loop = new_loop(messages(15), config(labels))
    for i, task_id in enumerate(sorted(loop.truth)[:9]):
        loop.annotate(task_id, labels[i % 3])
    run = loop.start()
    assert run.n_labels == 9
    assert run.counts["excluded"] == {}
    assert suggested(loop) <= set(labels)
    assert len(suggested(loop)) > 1
    assert loop.versions[0].labels == labels


def test_a_control_that_is_not_ours_is_left_alone(new_loop: NewLoop) -> None:
    """Another control beside the question may be filled in; it changes nothing."""
    loop = new_loop(messages(9), config(extra='<TextArea name="note" toName="text"/>'))
    note = {
        "id": "n",
        "from_name": "note",
        "to_name": "text",
        "type": "textarea",
        "value": {"text": ["a note"]},
    }
    first, second = sorted(loop.truth)[:2]
    loop.annotate(first, result=[*choose(DELIVERY), note])
    loop.annotate(second, result=[note, *choose(LOGIN)])
    run = loop.start()
    assert run.n_labels == 2
