"""Files and fine-tuning jobs of the stand-in, over OpenAI's and Azure's paths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from ml_backend.standin import ByModel, SimulatedPolicy, StandIn
from tests.integration.standin_clients import GOLD, MODEL, POLICY, PROVIDERS, SYSTEM, ask, upload

CONTROL = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a/deployments/ours"
    "?api-version=2024-10-01"
)


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """One whose fine-tuned models always say Complaint, and whose jobs go on when looked at."""
    with StandIn(ByModel({MODEL: POLICY}, SimulatedPolicy(dict.fromkeys(GOLD, "Complaint"), 0.0))) as made:
        yield made


@pytest.fixture(params=PROVIDERS)
def ai(standin: StandIn, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """Either client."""
    with PROVIDERS[request.param](standin) as made:
        yield made


def example(text: str, label: str) -> dict[str, Any]:
    """A training example in chat format."""
    roles = {"system": SYSTEM, "user": json.dumps({"text": text}), "assistant": json.dumps({"label": label})}
    return {"messages": [{"role": role, "content": content} for role, content in roles.items()]}


EXAMPLES = [example(f"text {n} – \u2028 ünïcode", "A") for n in range(12)]


def follow(ai: openai.OpenAI, job_id: str) -> list[str]:
    """The statuses that a fine-tuning job goes through, to the last."""
    statuses = [str(ai.fine_tuning.jobs.retrieve(job_id).status)]
    while statuses[-1] not in {"succeeded", "failed", "cancelled"}:
        statuses.append(str(ai.fine_tuning.jobs.retrieve(job_id).status))
    return statuses


def test_files_come_back_as_they_went(ai: openai.OpenAI) -> None:
    """Bytes are kept exactly, files are listed by purpose, and a deleted one is gone."""
    content = b'{"a": "\xc3\xbc\r\n--boundary"}\r\n\n{"b": 1}'
    made = ai.files.create(file=("näme.jsonl", content), purpose="batch")
    other = upload(ai, EXAMPLES, "fine-tune")
    assert ai.files.content(made.id).read() == content
    assert (ai.files.retrieve(made.id).bytes, made.filename) == (len(content), "näme.jsonl")
    assert [file.id for file in ai.files.list(purpose="fine-tune")] == [other]
    assert ai.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        ai.files.retrieve(made.id)


def test_lists_come_in_pages(ai: openai.OpenAI) -> None:
    """The client's own paging finds every row, newest first."""
    made = [upload(ai, EXAMPLES[:1], "fine-tune") for _ in range(5)]
    assert [file.id for file in ai.files.list(limit=2)] == made[::-1]


def test_fine_tuning_tells_how_it_goes(ai: openai.OpenAI) -> None:
    """All statuses in order, steps that rise to the last, a model's name and a result file at the end."""
    job = ai.fine_tuning.jobs.create(
        model=MODEL,
        training_file=upload(ai, EXAMPLES, "fine-tune"),
        validation_file=upload(ai, EXAMPLES[:3], "fine-tune"),
        suffix="ale",
        metadata={"project": "7"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    assert (job.status, job.fine_tuned_model, job.hyperparameters.n_epochs) == ("validating_files", None, 2)
    statuses = follow(ai, job.id)
    assert list(dict.fromkeys(statuses)) == ["queued", "running", "succeeded"]
    done = ai.fine_tuning.jobs.retrieve(job.id)
    assert done.trained_tokens is not None
    assert done.trained_tokens > 2 * 12 * 10
    events = list(ai.fine_tuning.jobs.list_events(job.id, limit=2))[::-1]
    steps: list[Any] = [event.data for event in events if event.type == "metrics"]
    assert [data["step"] for data in steps] == [8, 16, 24]
    assert all(data["total_steps"] == 24 for data in steps)
    assert "fine-tuned model created" in events[-2].message
    assert ai.files.content(done.result_files[0]).read().startswith(b"step,train_loss\n8,")
    found = ai.fine_tuning.jobs.list(extra_query={"metadata[project]": "7"})
    assert [row.id for row in found] == [job.id]
    assert list(ai.fine_tuning.jobs.list(extra_query={"metadata[project]": "8"})) == []


def test_tuned_model_answers(standin: StandIn) -> None:
    """OpenAI's fine-tuned model answers at once; Azure's when it is deployed, under the deployment's name."""
    for provider, make in PROVIDERS.items():
        with make(standin) as ai:
            job = ai.fine_tuning.jobs.create(model=MODEL, training_file=upload(ai, EXAMPLES, "fine-tune"))
            follow(ai, job.id)
            tuned = ai.fine_tuning.jobs.retrieve(job.id).fine_tuned_model or ""
            if provider == "azure":
                with pytest.raises(openai.NotFoundError):
                    ask(ai, model=tuned)
                with openai.OpenAI(base_url=standin.azure_endpoint, api_key="any") as control:
                    model = {"format": "OpenAI", "name": tuned, "version": "1"}
                    control.put(CONTROL, body={"properties": {"model": model}}, cast_to=object)
                tuned = "ours"
            else:
                assert tuned.startswith(f"ft:{MODEL}:")
            assert ask(ai, model=tuned).choices[0].message.content == '{"label":"B"}'


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (EXAMPLES[:9], "at least 10"),
        ([*EXAMPLES, {"prompt": "old form"}], "Line 13: missing 'messages'"),
        ([*EXAMPLES, "not an object"], "Line 13: not a JSON object"),
        ([{"messages": EXAMPLES[0]["messages"][:2]}, *EXAMPLES], "Line 1: the last message"),
        ([{"messages": [{"role": "assistant", "content": None}]}, *EXAMPLES], "Line 1: a message needs"),
    ],
)
def test_bad_training_file_fails(ai: openai.OpenAI, rows: list[Any], says: str) -> None:
    """The job says which line is wrong, and trains nothing."""
    job = ai.fine_tuning.jobs.create(model=MODEL, training_file=upload(ai, rows, "fine-tune"))
    assert follow(ai, job.id) == ["failed"]
    failed = ai.fine_tuning.jobs.retrieve(job.id)
    assert failed.error is not None
    assert says in failed.error.message
    assert (failed.error.param, failed.fine_tuned_model) == ("training_file", None)


def test_fine_tuning_needs_what_it_names(ai: openai.OpenAI) -> None:
    """An unknown model, an unknown file, or a file for something else is refused."""
    good, batch = upload(ai, EXAMPLES, "fine-tune"), upload(ai, EXAMPLES, "batch")
    for model, file in ((MODEL, "file-none"), (MODEL, batch), ("gpt-none", good)):
        with pytest.raises(openai.BadRequestError):
            ai.fine_tuning.jobs.create(model=model, training_file=file)


def test_fine_tuning_can_be_cancelled(ai: openai.OpenAI) -> None:
    """A cancelled job stays so, and cannot be cancelled again."""
    job = ai.fine_tuning.jobs.create(model=MODEL, training_file=upload(ai, EXAMPLES, "fine-tune"))
    assert ai.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert follow(ai, job.id) == ["cancelled"]
    with pytest.raises(openai.BadRequestError):
        ai.fine_tuning.jobs.cancel(job.id)
