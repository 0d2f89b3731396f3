"""The pages of a run in a real browser: a live run keeps up, in place; no page has a serious finding."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import SIZES, chromium, needs_axe, serious
from lakes import counted, small_run, write
from playwright.sync_api import Browser, Page, expect
from viewing import viewed

from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.show.web import snapshots
from gog.schemas import Reject, Unit

PICTURES = Path(os.environ.get("GOG_ARTIFACTS", Path(__file__).parents[4] / "artifacts")) / "view"
PAGES = {
    "summary": "runs/small/summary",
    "training": "runs/training/summary",
    "nothing": "runs/fresh/summary",
    "against": "runs/small/against/other",
    "rejects": "runs/small/rejects",
    "questions": "runs/small/questions/costliest",
    "runs-all": "?all",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = small_run(tmp_path / "lake", seeds=12)
    small_run(lake.root, seeds=9, run="other")
    for run, skill in (("small", "0.85"), ("other", "0.5"), ("training", "0.85"), ("fresh", "0.85")):
        config = {"run": run, "teacher": f"planner:skill={skill}", "judge": "planner:skill=1", "seed": 0}
        lake.write_manifest(Manifest(run=run, fingerprint="f" * 16, state="done", config=config))
    lines = [
        {"step": n, "time": f"2026-01-02T03:{n:02}:00", "values": {"reward": n / 60, "kl": math.sin(n), "loss": 0.5}}
        for n in range(60)
    ]
    (lake.run_folder("training") / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lake


def test_a_live_run_keeps_up_in_place_until_it_ends(
    browser: Browser, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(snapshots, "SELDOM", 0.0)
    run = "small"
    with viewed(lake.root, "Ana") as view:
        context = browser.new_context(viewport=SIZES["390"])  # type: ignore[arg-type]
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.clock.install()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        with lake.lock(run):
            page.goto(f"{view.address}runs/{run}/summary")
            expect(page.locator(".now")).to_contain_text("this page updates itself")
            expect(page.locator("h1")).to_contain_text("at work now")
            link = page.locator(".reasons a", has_text="verify.wrong")
            link.focus()
            place = link.bounding_box()
            out = [Reject.of("verify", Unit.TRAJECTORY, f"t-{n}", "verify.leaked") for n in range(30)]
            write(lake, run, "rejects", out, "more")
            write(lake, run, "funnel", [counted("verify", Unit.TRAJECTORY, 30, 0, 1)], "more")
            _ticks(page, lambda: page.locator(".reasons a", has_text="verify.leaked").count() == 1)
            expect(page.locator(".funnel li", has_text="verify").first).to_contain_text("54 in, 12 out")
            assert link.evaluate("(node) => node === document.activeElement"), "the focus is where it was"
            assert place
            now = link.bounding_box()
            assert now
            assert abs(now["y"] - place["y"]) <= 1, "it stays where it is on the screen"

            hide(page, True)
            page.clock.run_for(1000)
            page.wait_for_timeout(300)
            before = len(asked)
            page.clock.run_for(60_000)
            page.wait_for_timeout(300)
            assert len(asked) == before, "a tab that nobody sees asks nothing"
            hide(page, False)
            _ticks(page, lambda: len(asked) > before)
        _ticks(page, lambda: "done" in page.locator("h1").inner_text())
        expect(page.locator("#told")).to_have_text("The run has ended")
        before = len(asked)
        page.clock.run_for(60_000)
        page.wait_for_timeout(300)
        assert len(asked) == before, "of a run that has ended nothing is asked"
        context.close()


def _ticks(page: Page, seen: "object") -> None:
    """Let the page's clock run until what is waited for is seen."""
    for _ in range(40):
        page.clock.run_for(4100)
        page.wait_for_timeout(250)
        if seen():  # type: ignore[operator]
            return
    raise AssertionError("it was never seen")


def hide(page: Page, hidden: bool) -> None:
    """Make the page believe that its tab is, or is no longer, in the background."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_of_a_run_has_a_serious_finding(browser: Browser, lake: Lake, size: str, scheme: str) -> None:
    with viewed(lake.root, "Ben") as view:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        for name, path in PAGES.items():
            page.goto(view.address + path)
            assert serious(page) == [], name
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=True)
            sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(sideways) <= 0, f"{name} scrolls sideways"
        context.close()
        assert wrong == []
