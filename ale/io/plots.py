"""Learning curves and calibration as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ale.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ale.drift import Day


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: `y` at each of `x`, with a band of `spread` on either side.

    Lines of one `colour` (a number) belong together; one of them may be `dashed`.
    """

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float]
    colour: int = 0
    dashed: bool = False


def check_picture(path: Path) -> None:
    """Raises MissingExtra without matplotlib, and ConfigurationError for an ending that it cannot write."""
    with _figure(1, 1) as figure:
        known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in known:
        raise ConfigurationError(
            f"cannot draw {path}: pictures end in one of {', '.join(f'.{ending}' for ending in known)}"
        )


def draw_curves(
    path: Path,
    title: str,
    lines: Mapping[str, Line],
    marks: Mapping[str, float],
    *,
    measured: str = "accuracy on the test split",
) -> None:
    """Writes the picture; `marks` are horizontal lines by name. The ending of `path` tells the format."""
    with _figure(8, 5) as figure:
        axes = figure.add_subplot()
        for place, (name, line) in enumerate(lines.items()):
            low = [y - s for y, s in zip(line.y, line.spread, strict=True)]
            high = [y + s for y, s in zip(line.y, line.spread, strict=True)]
            colour = f"C{line.colour % 10}"
            style = "--" if line.dashed else "-"
            # The first is wide: another that lies upon it leaves it visible.
            width = 1.5 if place else 4.0
            axes.plot(
                line.x, line.y, style, color=colour, linewidth=width, marker="o", markersize=3, label=name
            )
            axes.fill_between(line.x, low, high, alpha=0.12, color=colour, linewidth=0)
        for name, height in marks.items():
            axes.axhline(height, linestyle="--", linewidth=0.8, color="0.4")
            axes.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom")
        axes.set(title=title, xlabel="human labels", ylabel=measured)
        ticks = sorted({x for line in lines.values() for x in line.x})
        # Logarithmic, with room for 0 at the left where there is such a point.
        axes.set_xscale("symlog", linthresh=min((x for x in ticks if x), default=1.0), linscale=0.5)
        axes.set_xlim(left=ticks[0] * 0.95 if ticks else 0)
        axes.set_xticks(ticks, [f"{int(x)}" for x in ticks], rotation=45)
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.legend(loc="lower right")
        _save(figure, path)


def draw_reliability(path: Path, title: str, panels: Mapping[str, Mapping[str, Line]]) -> None:
    """Writes a panel per name: what is right (`y`) against what was said (`x`); on the diagonal is honest."""
    with _figure(4 * len(panels), 4.4) as figure:
        figure.suptitle(title)
        for place, (name, lines) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(1, len(panels), place)
            axes.plot((0, 1), (0, 1), linestyle="--", linewidth=0.8, color="0.4")
            for label, line in lines.items():
                axes.errorbar(  # over the seeds
                    line.x, line.y, yerr=line.spread, marker="o", markersize=3, capsize=2, label=label
                )
            axes.set(title=name, xlabel="confidence", xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
            axes.grid(alpha=0.25)
            axes.legend(loc="upper left")
        figure.axes[0].set_ylabel("share that is right, on the test split")
        _save(figure, path)


def draw_days(path: Path, days: Sequence[Day]) -> None:
    """Writes label shift, confidence and text distance by day; the dashed line is what chance does."""
    with _figure(9, 7) as figure:
        panels = figure.subplots(3, 1, sharex=True)
        names = [day.day for day in days]
        nan = float("nan")
        for axes, title, values in (
            (panels[0], "label shift", [day.shift for day in days]),
            (panels[1], "mean confidence", [day.confidence for day in days]),
            (panels[2], "distance of texts", [day.distance for day in days]),
        ):
            axes.plot(names, [nan if v is None else v for v in values], marker="o", markersize=3)
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.25)
        chance = [nan if day.by_chance is None else day.by_chance for day in days]
        panels[0].plot(names, chance, linestyle="--", linewidth=0.8, color="0.4", label="by chance")
        panels[0].scatter(
            [day.day for day in days if day.shifted],
            [day.shift for day in days if day.shifted],
            color="C3",
            zorder=3,
            label="more than chance",
        )
        panels[0].legend(loc="upper left")
        panels[2].tick_params(axis="x", rotation=45)
        _save(figure, path)


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("a plot", "bench") from error
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9}):
        yield Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    """The ending of `path` tells the format."""
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
