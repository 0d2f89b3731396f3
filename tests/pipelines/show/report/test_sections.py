import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import boxes

from gog.pipelines.show.report.plots import svg
from gog.pipelines.show.report.sections import coverage
from gog.schemas import Box


@given(st.lists(boxes(), min_size=1, max_size=8), st.integers(1, 9))
def test_coverage_counts_the_boxes_that_touch_a_cell(found: list[Box], cells: int) -> None:
    counted = coverage(np.asarray(found, dtype=float), cells)
    assert counted.shape == (cells, cells)
    for row in range(cells):
        for column in range(cells):
            touching = sum(
                np.floor(b.x1 * cells) <= column < np.ceil(b.x2 * cells)
                and np.floor(b.y1 * cells) <= row < np.ceil(b.y2 * cells)
                for b in found
            )
            assert counted[row, column] == touching


def test_a_plot_shows_names_as_they_are_and_keeps_its_ids_apart() -> None:
    def draw(figure: object) -> None:
        axes = figure.subplots()  # type: ignore[attr-defined]
        axes.barh([0, 1], [1, 2])
        axes.set_yticks([0, 1], ["<b>$x_1$</b>", "国旗"])

    one, two = (svg(draw, name, "T & t", "<told>", 2.0) for name in ("one", "two"))
    assert one.startswith("<svg")
    assert "&lt;b&gt;$x_1$&lt;/b&gt;" in one
    assert "国旗" in one
    assert 'id="one-title">T &amp; t' in one
    assert "&lt;told&gt;" in one
    assert one.replace("one-", "two-") == two
    assert "<metadata" not in one
    assert "<!DOCTYPE" not in one


@pytest.mark.parametrize("name", ["funnel", "x"])
def test_clip_paths_point_into_their_own_plot(name: str) -> None:
    import re

    drawn = svg(lambda figure: figure.subplots().plot([0, 1], [0, 1]), name, "", "", 2.0)  # type: ignore[arg-type]
    ids = set(re.findall(r'\bid="([^"]*)"', drawn))
    targets = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', drawn))
    assert targets
    assert all((a or b) in ids for a, b in targets)
