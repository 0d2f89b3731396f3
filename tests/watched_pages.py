"""Pages of `gog view` in a browser that is watched: nothing leaves the loopback. Keeps pictures of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from viewing import View

PICTURES = Path(os.environ.get("GOG_ARTIFACTS", Path(__file__).parents[1] / "artifacts")) / "view"
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@dataclass
class Watched:
    """A page, and what it should not have done."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def keep(self, name: str) -> None:
        """Keep a picture of the page as it is."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_load_state("networkidle")
        self.page.screenshot(path=PICTURES / f"{name}.png")
        sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(sideways) <= 0, f"{name} scrolls sideways"


@contextmanager
def watched(browser: Browser, view: View, *, size: dict[str, int] = DESK, scheme: str = "light") -> Iterator[Watched]:
    """A page that fails the test on errors, on dialogs and on requests that leave the loopback."""
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    context.add_cookies([view.cookie])  # type: ignore[list-item]
    found = Watched(context.new_page())
    page = found.page
    page.on("console", lambda said: found.wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("response", lambda reply: found.wrong.append(reply.url) if reply.status >= 400 else None)
    page.on("request", lambda asked: found.left.append(asked.url) if "//127.0.0.1:" not in asked.url else None)
    yield found
    context.close()
    assert found.wrong == []
    assert found.left == []


def saved(page: Page, words: str) -> None:
    expect(page.locator("#told")).to_have_text(words)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], on: str = "#scene svg") -> None:
    """Drag over the image, from and to fractions of it."""
    frame = page.locator(on).bounding_box()
    assert frame is not None
    (x1, y1), (x2, y2) = ((frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end))
    page.mouse.move(x1, y1)
    page.mouse.down()
    page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    page.mouse.move(x2, y2)
    page.mouse.up()
