"""Plots as SVG inside a page: matplotlib draws, the page's style sheet gives the colours, for light and for dark.

Every colour that is drawn stands for a custom property of CSS (`INK` for `var(--ink)`, and so on). Text stays text,
and is never read as a formula.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gog.pipelines.lake.one_line import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH: Final = 4.4
"""Inches; on a phone the page shows it at four fifths."""
INK, QUIET, GRID = "#010203", "#020304", "#030405"
SERIES: Final = ("#a10001", "#a10002", "#a10003", "#a10004", "#a10005", "#a10006")
GOOD, BAD, UNSURE, NONE = "#b10001", "#b10002", "#b10003", "#b10004"
_VARIABLES: Final = {
    INK: "ink",
    QUIET: "quiet",
    GRID: "line",
    GOOD: "good",
    BAD: "bad",
    UNSURE: "unsure",
    NONE: "none",
    **{colour: f"s{number}" for number, colour in enumerate(SERIES, 1)},
}
LABEL: Final = 26
"""Characters of a label."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gog",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": QUIET,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "patch.linewidth": 0,
}

Draw = Callable[["Figure"], None]


def svg(draw: Draw, name: str, title: str, description: str, height: float) -> str:
    """What `draw` puts on a figure of `height` inches, as an SVG element with a title and a description.

    `name` keeps its ids apart from those of the page's other plots.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a script that the font lacks: the browser has its own
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    return _inline(buffer.getvalue(), name, title, description)


def _inline(text: str, name: str, title: str, description: str) -> str:
    from markupsafe import escape

    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    box = re.search(r'viewBox="[^"]*"', text)
    head = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box[0] if box else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-told"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-told">{escape(description)}</desc>'
    )
    return head + text[text.index(">") + 1 :]


def label(text: object) -> str:
    """A name from outside as a short label."""
    return one_line(text, LABEL) or "(none)"


def stacked(
    axes: "Axes", names: Sequence[str], parts: Mapping[str, Sequence[float]], colours: Sequence[str], **bar: Any
) -> None:
    """Horizontal bars, the first on top, each of several parts."""
    places = range(len(names))
    left = [0.0] * len(names)
    for (part, values), colour in zip(parts.items(), colours, strict=False):
        axes.barh(places, values, left=left, color=colour, label=part, height=0.7, **bar)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_yticks(list(places), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def ended(axes: "Axes", lengths: Sequence[float], words: Sequence[str]) -> None:
    """Words behind the ends of horizontal bars, with room for the longest."""
    widest = max(lengths) or 1
    for place, (length, word) in enumerate(zip(lengths, words, strict=True)):
        axes.text(length + widest * 0.01, place, word, va="center", color=QUIET, size=8.5)
    axes.set_xlim(0, widest * (1.04 + 0.028 * max(map(len, words))))


def legend(figure: "Figure", axes: "Axes", columns: int = 3) -> None:
    """The names of an axes' parts under the figure."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=columns, fontsize=8.5, handlelength=1)


def bars(axes: "Axes", values: Sequence[float], counts: Sequence[float], title: str, colour: str) -> None:
    """Upright bars of counts over numbers."""
    axes.bar(values, counts, color=colour, width=0.8)
    _upright(axes, title)


def histogram(axes: "Axes", edges: Sequence[float], counts: Sequence[float], title: str, colour: str) -> None:
    """Counts between edges."""
    axes.stairs(counts, edges, fill=True, color=colour)
    _upright(axes, title)


def _upright(axes: "Axes", title: str) -> None:
    axes.set_title(title)
    axes.grid(axis="y", linewidth=0.6)
    axes.tick_params(length=0)
