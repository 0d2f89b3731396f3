"""`report.html` in a real browser: how high it is, that it fits, that what is folded opens, and what axe finds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import SIZES, chromium, needs_axe, serious
from lakes import small_run
from playwright.sync_api import Browser, Page

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Manifest
from gog.pipelines.show.report.page import write_report

HIGHEST = {"1440": 5250, "1024": 6950, "390": 8100}
"""Pixels: half of what the page once was for the demo's run. This one has as many sections and trajectories."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = small_run(tmp_path_factory.mktemp("report") / "lake")
    config = Config().model_dump(mode="json") | {"teacher": "vllm:Qwen"}
    lake.write_manifest(Manifest(run="small", fingerprint="x", state="done", config=config))
    return write_report(lake, "small")


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def opened(request: pytest.FixtureRequest, browser: Browser, path: Path) -> Iterator[tuple[str, Page]]:
    size, scheme = request.param
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(path.as_uri())
    yield size, page
    context.close()


@needs_axe
def test_it_is_half_as_high_as_it_was_fits_and_reads(opened: tuple[str, Page]) -> None:
    size, page = opened
    assert page.evaluate("document.documentElement.scrollHeight") < HIGHEST[size]
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert serious(page) == []
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert serious(page) == []


def test_a_reflection_stands_with_the_result_that_it_judges(browser: Browser, path: Path) -> None:
    page = browser.new_page()
    page.goto(path.as_uri())
    card = page.locator("article", has_text="off target").first
    assert not card.locator("ol.turns").is_visible()
    card.locator("summary").click()
    first, second = card.locator("ol.turns > li").nth(0), card.locator("ol.turns > li").nth(1)
    assert "off target says turn 2 of this result" in first.inner_text().replace("\n", " ")
    assert "Uganda" in first.inner_text()
    assert "useful says turn 3 of this result" in second.inner_text().replace("\n", " ")
    assert "off target" not in second.locator(".tag").all_inner_texts()
    page.close()
