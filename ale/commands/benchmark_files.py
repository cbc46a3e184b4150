"""What `ale benchmark` writes: its report as JSON, and pictures of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ale.benchmark.curves import WITHOUT
from ale.benchmark.report import Report
from ale.errors import ConfigurationError
from ale.io.plots import Line, check_picture, draw_curves, draw_reliability


def check_results(json_file: Path | None, *pictures: Path | None) -> None:
    """Before minutes are spent: raises ConfigurationError for a folder that is not there and a picture of no known kind."""
    for path in (json_file, *pictures):
        if path is not None and not path.parent.is_dir():
            raise ConfigurationError(f"cannot write {path}: there is no folder {path.parent}")
    for picture in pictures:
        if picture is not None:
            check_picture(picture)


def write_json(told: Mapping[str, Any], path: Path) -> None:
    """Whole or not at all: a run that is killed leaves what was there."""
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error


def draw(report: Report, plot: Path | None, reliability: Path | None) -> None:
    """Both pictures, if one fails the other still."""
    wanted: list[tuple[Path | None, Callable[[Report, Path], None]]] = [
        (plot, _draw_curves),
        (reliability, _draw_reliability),
    ]
    failed: list[ConfigurationError] = []
    for path, drawn in wanted:
        if path is not None:
            try:
                drawn(report, path)
            except ConfigurationError as error:
                failed.append(error)
    if failed:
        raise ConfigurationError("; ".join(map(str, failed)))


def _draw_curves(report: Report, path: Path) -> None:
    plain = [name for name in report.curves if not name.endswith(WITHOUT)]
    lines = {
        name: Line(
            curve.labels.tolist(),
            curve.accuracy.tolist(),
            curve.spread.tolist(),
            colour=plain.index(name.removesuffix(WITHOUT)),
            dashed=name.endswith(WITHOUT),
        )
        for name, curve in report.curves.items()
    }
    full = report.full_data_accuracy
    draw_curves(path, report.dataset, lines, {"full data": full, "95 % of it": 0.95 * full})


def _draw_reliability(report: Report, path: Path) -> None:
    panels = {}
    for labels in report.judged:
        audit = f"{report.settings['audit']} audit labels"
        both = {"no audit": report.reliability(labels, audited=False)}
        both[audit] = report.reliability(labels, audited=True)
        panels[f"{labels} labels{report.stands_for(labels)}"] = {
            name: Line(bins.confidence, bins.accuracy, bins.spread)
            for name, bins in both.items()
            if bins is not None
        }
    draw_reliability(path, f"{report.dataset}: calibration of ale", panels)
