"""What the parser makes of real replies of language models: right labels, abstentions by reason, nothing else.

Reads two recorded studies by path: replies of 14 models to 17 tasks (`--css`, JSON lines), and of three to film
reviews (`--imdb`, CSV). A reply that is exactly a label or its letter must give that label. All others are
counted by what became of them. Exit code 1 when an exact reply gave something else, or anything a label that
does not exist; an exception would end the run.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ale.chat import ChatReply
from ale.teachers.llm.names import Names
from ale.teachers.llm.parse import read_reply
from ale.types import LabelSpace
from benchmarks.figures import show

UNPARSED = "&&&&&&"
"""The first study's authors put this before a reply that their parser could not map."""

_OPTION = re.compile(r"^([A-Z]): ([^\n(]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A reply as it was recorded, the names that it may use, and which group it is counted in."""

    group: str
    reply: str
    labels: tuple[str, ...]
    letters: tuple[str, ...] = ()
    gold: str = ""


@dataclass(slots=True)
class Tally:
    """What became of a group's replies. `exact` are those that are a label or a letter and nothing else."""

    replies: int = 0
    exact: int = 0
    exact_right: int = 0
    labelled: int = 0
    agree: int = 0
    outside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, recorded: Recorded) -> None:
        """Count one reply."""
        names = Names(LabelSpace(recorded.labels), recorded.letters)
        verdict = read_reply(ChatReply(recorded.reply), names)
        words = [*recorded.labels, *recorded.letters]
        meant = [
            i % len(recorded.labels) for i, word in enumerate(words) if word.lower() == recorded.reply.lower()
        ]
        self.replies += 1
        self.exact += bool(meant)
        self.exact_right += bool(meant) and verdict.label == meant[0]
        if verdict.label is None:
            self.reasons[str(verdict.abstention)] += 1
            return
        self.labelled += 1
        self.outside += not 0 <= verdict.label < len(recorded.labels)
        self.agree += recorded.labels[verdict.label].lower() == recorded.gold.lower()

    @property
    def failed(self) -> bool:
        """Whether an exact reply was misread or a label was made up."""
        return self.exact_right < self.exact or self.outside > 0


def read_css(file: Path) -> Iterator[Recorded]:
    """One per model and item; the options stand in the prompt, letter by letter, or are True and False."""
    with _open(file) as lines:
        for line in lines:
            item = json.loads(line)
            options = dict(_OPTION.findall(item["prompt"]))
            labels = tuple(name.strip() for name in options.values()) or ("True", "False")
            if len(set(labels)) < len(labels):
                continue
            for model, reply in item["answers"].items():
                if not isinstance(reply, str):
                    continue
                group = model
                if reply.startswith(UNPARSED):
                    group = f"{model}, marked as not parsed"
                yield Recorded(group, reply, labels, tuple(options))


def read_imdb(file: Path) -> Iterator[Recorded]:
    """One per model and review."""
    with _open(file) as lines:
        for row in csv.DictReader(lines):
            for column, reply in row.items():
                if column.endswith("_raw"):
                    model = column.removesuffix("_raw")
                    yield Recorded(f"{model} (reviews)", reply, ("Positive", "Negative"), gold=row["label"])


def main(arguments: Sequence[str]) -> int:
    """Prints one row per model."""
    parser = argparse.ArgumentParser(prog="parse_replies", description=__doc__)
    parser.add_argument("--css", type=Path, help="items.jsonl(.gz) with prompt and answers")
    parser.add_argument("--imdb", type=Path, help="items.csv(.gz) with label and MODEL_raw columns")
    options = parser.parse_args(arguments)
    if options.css is None and options.imdb is None:
        print("parse_replies: nothing to read, name files with --css and --imdb")
        return 0
    recorded = [
        *(read_css(options.css) if options.css else ()),
        *(read_imdb(options.imdb) if options.imdb else ()),
    ]
    tallies: dict[str, Tally] = {}
    started = time.perf_counter()
    for reply in recorded:
        tallies.setdefault(reply.group, Tally()).add(reply)
    each = (time.perf_counter() - started) / max(1, len(recorded))
    show(
        f"{len(recorded)} real replies, {each * 1e6:.0f} µs each",
        ["model", "replies", "exact", "of these right", "labelled", "abstained", "why", "as gold", "outside"],
        [
            (
                group,
                tally.replies,
                tally.exact,
                _share(tally.exact_right, tally.exact),
                _share(tally.labelled, tally.replies),
                _share(sum(tally.reasons.values()), tally.replies),
                " ".join(f"{reason} {n}" for reason, n in tally.reasons.most_common()) or "-",
                _share(tally.agree, tally.labelled) if "reviews" in group else "-",
                tally.outside,
            )
            for group, tally in sorted(tallies.items())
        ],
    )
    return int(any(tally.failed for tally in tallies.values()))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")
