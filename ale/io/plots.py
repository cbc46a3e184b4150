"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ale.errors import ConfigurationError, MissingExtra


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: `y` at each of `x`, with a band of `spread` on either side."""

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float]


def draw_curves(
    path: Path,
    title: str,
    lines: Mapping[str, Line],
    marks: Mapping[str, float],
    *,
    measured: str = "accuracy on the test split",
) -> None:
    """Writes the picture; `marks` are horizontal lines by name. The ending of `path` tells the format."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("a plot", "bench") from error
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        for name, line in lines.items():
            low = [y - s for y, s in zip(line.y, line.spread, strict=True)]
            high = [y + s for y, s in zip(line.y, line.spread, strict=True)]
            (drawn,) = axes.plot(line.x, line.y, marker="o", markersize=3, label=name)
            axes.fill_between(line.x, low, high, alpha=0.15, color=drawn.get_color())
        for name, height in marks.items():
            axes.axhline(height, linestyle="--", linewidth=0.8, color="0.4")
            axes.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom")
        axes.set(title=title, xlabel="human labels", ylabel=measured)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=0)
        ticks = sorted({x for line in lines.values() for x in line.x})
        axes.set_xticks(ticks, [f"{int(x)}" for x in ticks], rotation=45)
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.legend(loc="lower right")
        try:
            figure.savefig(path, dpi=150)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
