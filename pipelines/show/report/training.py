"""The section of a training: its curves as small plots, each on its own scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from gog.pipelines.show.report.plots import SERIES, label
from gog.pipelines.show.report.section import Section, drawn, nothing
from gog.pipelines.show.web.curves import Curves, Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS: Final = 2
MOST: Final = 24
"""Plots; the table has all."""


def training(found: Curves) -> Section:
    """What `curves.jsonl` of a training holds, step by step of the optimiser."""
    curves = {name: points for name, points in found.curves.items() if points}
    lines = tuple(
        (name, points[-1].step, points[0].value, points[-1].value, *_ends(points)) for name, points in curves.items()
    )
    section = Section(
        "training",
        "Training",
        "Curves over the steps of the optimiser, each between its least and its greatest value.",
        "",
        ("curve", "last step", "first", "last", "least", "greatest"),
        lines,
    )
    if not curves:
        return nothing(
            section, "The file of the curves is too long." if found.too_long else "No curve has a number yet."
        )
    shown = dict(list(curves.items())[:MOST])
    return drawn(section, lambda figure: _draw(figure, shown), 0.3 + 0.85 * -(-len(shown) // ACROSS))


def _draw(figure: "Figure", curves: Mapping[str, Sequence[Point]]) -> None:
    rows = -(-len(curves) // ACROSS)
    places = figure.subplots(rows, ACROSS, squeeze=False).flat
    for axes in places:
        axes.axis("off")
    for axes, (name, points) in zip(figure.axes, curves.items(), strict=False):
        axes.axis("on")
        axes.plot([point.step for point in points], [point.value for point in points], color=SERIES[0], linewidth=1.2)
        axes.set_title(label(name), fontsize=8.5)
        axes.tick_params(labelsize=8, length=0)
        axes.locator_params(nbins=3)


def _ends(points: Sequence[Point]) -> tuple[float, float]:
    values = [point.value for point in points]
    return min(values), max(values)
