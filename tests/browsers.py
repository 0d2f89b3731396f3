"""A real browser for the tests of pages, and what is expected of every page in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"1440": {"width": 1440, "height": 900}, "1024": {"width": 1024, "height": 700}}
SIZES |= {"390": {"width": 390, "height": 844}}

AXE = "axe_playwright_python"
needs_axe = pytest.mark.skipif(find_spec(AXE) is None, reason="`pip install -e .[dev]` brings axe-playwright-python")

_SERIOUS = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
    .filter((found) => ['serious', 'critical'].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html.slice(0, 150)).join(' | ')}`)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, as root and in containers too; what is expected of a page may come late where much else runs."""
    expect.set_options(timeout=20_000)
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "these tests need Chromium: apt-get install chromium (as root, `make test` does it)"
    with sync_playwright() as playwright:
        # Root has no sandbox for its browsers, and containers often have little shared memory.
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
        made = playwright.chromium.launch(executable_path=found, args=options)
        yield made
        made.close()


def serious(page: Page) -> list[Any]:
    """What axe finds on the page that is serious or worse."""
    page.wait_for_load_state("networkidle")
    page.evaluate(files(AXE).joinpath("axe.min.js").read_text("utf-8"))
    return list(page.evaluate(_SERIOUS))
