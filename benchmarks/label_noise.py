"""Are wrong labels found? Noise of three kinds is injected into gold labels, and the detectors are compared.

`python -m benchmarks label_noise --data train.csv --descriptions d.yaml`. In one run and on the same rows: ours
without and with the zero-shot teacher, cleanlab's ranking and `find_label_issues` on the default student's
held-out probabilities, plain self-confidence of that student, and of the leave-one-out ridge alone. Natural
errors of the gold labels count against everybody.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ale.calibration import fit_temperature, softmax
from ale.cli import cache_folder, cached_encoder
from ale.features import FeatureSpace
from ale.io.tables import read_descriptions, read_table
from ale.review.channel import Judgement
from ale.review.evidence import Evidence
from ale.review.issues import CUT
from ale.review.ridge import held_out_by_ridge
from ale.review.weighing import weigh
from ale.students import HybridStudent
from ale.teachers.zero_shot import ZeroShotTeacher
from ale.text import normalise, text_hash
from ale.types import Embeddings, LabelSpace, Probs

Labels = NDArray[np.int64]
Noise = Callable[[Labels, int, Probs, np.random.Generator], Labels]


def uniform(gold: Labels, labels: int, _student: Probs, rng: np.random.Generator) -> Labels:
    """Any other label, with equal chances."""
    return (gold + rng.integers(1, labels, len(gold))) % labels


def class_dependent(gold: Labels, labels: int, _student: Probs, rng: np.random.Generator) -> Labels:
    """Each label is mistaken for one other, drawn once per run."""
    partner = np.array([rng.choice(np.delete(np.arange(labels), label)) for label in range(labels)])
    return np.asarray(partner[gold], np.int64)


def instance_dependent(gold: Labels, _labels: int, student: Probs, _rng: np.random.Generator) -> Labels:
    """What the student of the gold labels finds likeliest besides the truth: people confuse what it confuses."""
    others = student.copy()
    others[np.arange(len(gold)), gold] = -1.0
    return np.asarray(others.argmax(axis=1), np.int64)


NOISES: dict[str, Noise] = {"uniform": uniform, "class": class_dependent, "instance": instance_dependent}


def inject(
    gold: Labels, labels: int, rate: float, kind: str, student: Probs, rng: np.random.Generator
) -> Labels:
    """The labels with exactly that share of them wrong; instance-dependent noise falls on the hard rows first."""
    wrong = NOISES[kind](gold, labels, student, rng)
    weight = np.ones(len(gold))
    if kind == "instance":
        weight = 1.05 - student[np.arange(len(gold)), gold].astype(np.float64)
    chosen = rng.choice(len(gold), round(rate * len(gold)), replace=False, p=weight / weight.sum())
    given = gold.copy()
    given[chosen] = wrong[chosen]
    return given


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one run."""

    texts: list[str]
    features: Embeddings
    gold: Labels
    groups: Labels
    teacher: Probs | None


def measure(rows: Rows, given: Labels, labels: int) -> dict[str, dict[str, float]]:
    """Per detector its figures."""
    error = given != rows.gold
    at = np.arange(len(given))
    student = HybridStudent().fit(rows.features, at, given, labels=labels, groups=rows.groups)
    logits = student.out_of_fold_logits()
    probs = softmax(logits, fit_temperature(logits, given)).astype(np.float64)
    alone = np.exp(held_out_by_ridge(rows.features, given, labels, rows.groups))
    told = {
        "student, self-confidence": _ranked(1.0 - probs[at, given], error),
        "student, cleanlab": _cleanlab(probs, given, error),
        "ridge alone, self-confidence": _ranked(1.0 - alone[at, given], error),
        "ridge alone, cleanlab": _cleanlab(alone, given, error),
    }
    plain = Evidence(None, given, rows.features, groups=rows.groups, texts=rows.texts)
    told["ours, no teacher"] = _ours(weigh(plain, labels), error, given, rows)
    if rows.teacher is not None:
        backed = Evidence(
            None, given, rows.features, groups=rows.groups, texts=rows.texts, teacher=rows.teacher
        )
        told["ours, zero-shot"] = _ours(weigh(backed, labels), error, given, rows)
    return told


def _ranked(score: NDArray[np.float64], error: NDArray[np.bool_]) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not error.any():
        return {}
    first = np.argsort(-score, kind="stable")[: error.sum()]
    return {
        "auroc": float(roc_auc_score(error, score)),
        "p@k": float(error[first].mean()),
        "ap": float(average_precision_score(error, score)),
    }


def _cut(flagged: NDArray[np.bool_], error: NDArray[np.bool_]) -> dict[str, float]:
    hits = float((flagged & error).sum())
    out = {"flagged": float(flagged.mean())}
    if error.any():
        out |= {"precision": hits / max(1, int(flagged.sum())), "recall": hits / float(error.sum())}
    return out


def _cleanlab(probs: NDArray[np.float64], given: Labels, error: NDArray[np.bool_]) -> dict[str, float]:
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(given, probs, method="normalized_margin")
    flagged = np.asarray(find_label_issues(given, probs, n_jobs=1), bool)
    count = {"estimated": float(num_label_issues(given, probs))}
    return _ranked(1.0 - np.asarray(quality), error) | _cut(flagged, error) | count


def _ours(found: Judgement, error: NDArray[np.bool_], given: Labels, rows: Rows) -> dict[str, float]:
    flagged = found.score > CUT
    told = _ranked(found.score, error) | _cut(flagged, error) | {"estimated": found.errors}
    # A simulated reviewer looks at every flag and gives the gold label.
    cleaned = np.where(flagged, rows.gold, given)
    return told | {
        "right before": float((given == rows.gold).mean()),
        "right after": float((cleaned == rows.gold).mean()),
    }


def main(arguments: Sequence[str]) -> int:
    """Prints a table; the exit code is 0."""
    asked = _parse(arguments)
    if asked.data is None:
        print("label_noise: nothing to read, name a file of gold labels with --data")
        return 0
    table = read_table(asked.data)
    texts = [normalise(text) or "" for text in table.column(asked.text_column)]
    said = table.column(asked.label_column)
    names = sorted(set(said))
    gold = np.array([names.index(label) for label in said], np.int64)
    encoder = cached_encoder(asked.cache or cache_folder())
    raw = encoder.encode(texts)
    teacher = None
    if asked.descriptions is not None:
        about = read_descriptions(asked.descriptions)
        space = LabelSpace(tuple(names), tuple(about.get(name, "") for name in names))
        teacher = ZeroShotTeacher(encoder).predict_from_vectors(raw, space)
    _, groups = np.unique([text_hash(text) for text in texts], return_inverse=True)
    kept: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with threadpool_limits(1, user_api="blas"):
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            rng = np.random.default_rng(seed)
            part = rng.permutation(len(gold))[: asked.labels]
            rows = Rows(
                [texts[row] for row in part],
                FeatureSpace.fit(raw[part]).transform(raw[part]),
                gold[part],
                groups[part].astype(np.int64),
                None if teacher is None else teacher[part],
            )
            sight = np.exp(held_out_by_ridge(rows.features, rows.gold, len(names))).astype(np.float32)
            for setting in asked.noise.split(","):
                kind, _, rate = setting.partition(":")
                given = inject(rows.gold, len(names), float(rate), kind, sight, rng)
                kept[setting].append(measure(rows, given, len(names)))
                print(f"seed {seed}, {setting}: done", flush=True)
    _show(kept)
    if asked.json is not None:
        asked.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


def _show(kept: dict[str, list[dict[str, Any]]]) -> None:
    columns = (
        "auroc",
        "p@k",
        "ap",
        "precision",
        "recall",
        "flagged",
        "estimated",
        "right before",
        "right after",
    )
    print(f"{'':40s}" + "".join(f"{column:>13s}" for column in columns))
    for setting, runs in kept.items():
        for name in runs[0]:
            cells = []
            for column in columns:
                values = [run[name][column] for run in runs if column in run[name]]
                cells.append(f"{np.mean(values):13.3f}" if values else f"{'-':>13s}")
            print(f"{setting + ' ' + name:40s}" + "".join(cells))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks label_noise", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--descriptions", type=Path)
    parser.add_argument("--labels", type=int, default=1_000, help="rows per run")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--noise", default="class:0.1,uniform:0.1,instance:0.1,class:0.2,uniform:0.2,class:0.05,uniform:0"
    )
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)
