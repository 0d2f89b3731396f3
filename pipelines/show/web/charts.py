"""Small charts as SVG inside a page, made by hand: the page's policy allows no style of an element's own.

Colours, strokes and text sizes are classes of `run.css`. What a chart says stands beside it as text, too.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

WIDTH: Final = 320
"""Units of a curve's picture; it stretches with its place, its lines keep their width."""
HEIGHT: Final = 96
WIDE: Final = 960
"""Units of the picture of a rate."""
HIGH: Final = 150


class Column(NamedTuple):
    """A step of time: what was made, what the store answered, what of both failed, and whether a pause is before it."""

    made: float
    from_store: float
    failed: float
    after_pause: bool = False


def bar(parts: Sequence[tuple[str, float]], whole: float) -> Markup:
    """A bar of parts, each with its class; `whole` is what its full length stands for."""
    left, drawn = 0.0, list[str]()
    for kind, value in parts:
        width = 100 * value / whole if whole else 0.0
        if value > 0:
            width = max(width, 0.25)  # what is there is seen
            drawn.append(f'<rect class="{kind}" x="{left:.2f}" y="0" width="{width:.2f}" height="10"/>')
        left += width
    return _svg("bar", 100, 10, "".join(drawn))


def interval(low: float, value: float, high: float) -> Markup:
    """A share, 0 to 1, with its interval, on a line from 0 to 100%."""
    return _svg(
        "interval",
        100,
        10,
        f'<rect class="ground" x="0" y="4" width="100" height="2"/>'
        f'<rect class="span" x="{100 * low:.2f}" y="2.5" width="{max(0.3, 100 * (high - low)):.2f}" height="5"/>'
        f'<rect class="point" x="{min(99.0, max(0.0, 100 * value - 0.5)):.2f}" y="0" width="1" height="10"/>',
    )


def line(points: Sequence[tuple[float, float]], label: str) -> Markup:
    """A curve over its steps, from its least to its greatest value; `label` is what a screen reader says."""
    if not points:
        return Markup("")
    steps, values = [x for x, _ in points], [y for _, y in points]
    left, right, low, high = steps[0], steps[-1], min(values), max(values)
    across, up = (right - left) or 1, (high - low) or 1

    def at(x: float, y: float) -> str:
        placed = HEIGHT / 2 if high == low else 4 + (HEIGHT - 8) * (1 - (y - low) / up)
        return f"{4 + (WIDTH - 8) * (x - left) / across:.1f} {placed:.1f}"

    path = "M" + " L".join(at(x, y) for x, y in points)
    # A round cap of no length: a dot that stays round however the picture is stretched.
    end = at(steps[-1], values[-1])
    drawn = (
        f'<path class="rule" d="M0 {HEIGHT - 1} H{WIDTH}"/><path class="curve" d="{path}"/>'
        f'<path class="last" d="M{end} L{end}"/>'
    )
    return _svg("line", WIDTH, HEIGHT, drawn, label)


def rate(columns: Sequence[Column], label: str) -> Markup:
    """Columns over time: made, on them what the store answered, and what failed as a line's ends at the foot."""
    most = max((column.made + column.from_store for column in columns), default=0) or 1
    width = WIDE / max(1, len(columns))
    drawn = []
    for place, column in enumerate(columns):
        x, foot = place * width, float(HIGH)
        for kind, value in (("made", column.made), ("stored", column.from_store)):
            tall = HIGH * value / most
            if tall > 0:
                foot -= tall
                box = f'x="{x:.2f}" y="{foot:.2f}" width="{max(0.5, width - 1):.2f}" height="{tall:.2f}"'
                drawn.append(f'<rect class="{kind}" {box}/>')
        if column.failed > 0:
            tall = max(2.0, HIGH * column.failed / most)
            box = f'x="{x:.2f}" y="{HIGH - tall:.2f}" width="{max(0.5, width - 1):.2f}" height="{tall:.2f}"'
            drawn.append(f'<rect class="failed" {box}/>')
        if column.after_pause:
            drawn.append(f'<path class="pause" d="M{x - 0.5:.2f} 0 V{HIGH}"/>')
    drawn.append(f'<path class="rule" d="M0 {HIGH - 0.5} H{WIDE}"/>')
    return _svg("rate", WIDE, HIGH, "".join(drawn), label)


def _svg(kind: str, width: int, height: int, drawn: str, label: str = "") -> Markup:
    said = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    head = f'<svg class="{escape(kind)}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
    return Markup(head) + said + Markup(f">{drawn}</svg>")  # noqa: S704 - numbers and names of classes alone
