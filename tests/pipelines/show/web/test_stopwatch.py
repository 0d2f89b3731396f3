"""A person at work in a real browser: fifty decisions by keyboard alone, by the clock, and nothing below the fold."""

import io
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import SIZES, chromium, needs_axe, serious
from lakes import reflective, small_run, verdict_of, write
from PIL import Image
from playwright.sync_api import Browser, Page
from real_run import REAL, real_run
from viewing import viewed, with_manifest

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews
from gog.schemas import Behaviour, Curated, Seed, Split

PICTURES = Path(os.environ.get("GOG_ARTIFACTS", Path(__file__).parents[4] / "artifacts")) / "view"
QUEUE = "?kept=yes&review=todo&sort=random"
DECISIONS = 50
MOST_MS = 150

WATCH = """
let pressed = 0;
window.took = [];
addEventListener('keydown', () => { pressed = performance.now(); }, true);
const last = () => document.querySelector('#review')?.dataset.url;
let seen;
(function look() {
  const picture = document.querySelector('#scene img');
  if (last() !== seen && picture?.complete) {
    if (seen && pressed) window.took.push(performance.now() - pressed);
    seen = last();
  }
  requestAnimationFrame(look);
})();
"""
"""From the key that decides to the frame in which the next trajectory stands there with its picture."""

NEEDED = ".desk h1, .judged dd, .decide button, .progress, #scene img"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def long_run(root: Path) -> Lake:
    """A run whose pictures are as large as photos, and whose questions and answers are as long as real ones."""
    lake = small_run(root, seeds=0)
    run, made = "small", []
    for number in range(DECISIONS + 2):
        tone = Image.linear_gradient("L").resize((1280, 960)).rotate(7 * number)
        data = io.BytesIO()
        Image.merge("RGB", (tone, tone.rotate(90), tone.rotate(180))).resize((1280, 960)).save(data, "JPEG")
        question = (
            f"How many aggregate goals had the team in the blue and red kit accumulated across both legs after the own "
            f"goal by the defender, as reflected by the players' contest number {number} in the image?"
        )
        forms = ("Signal Iduna Park", "Westfalenstadion", "the stadium of Dortmund", "BVB Stadion Dortmund")
        sha256 = lake.images.put(data.getvalue(), "jpg")
        seed = Seed(
            seed_id=f"seed-{number:03d}",
            dataset="long",
            dataset_version="1",
            question=question,
            answers=forms,
            image_sha256=sha256,
            width=1280,
            height=960,
            image_phash=f"{number:016x}",
            entity="Dortmund",
            category="location",
            licence="MIT",
        )
        made.append((seed, reflective(seed, lake.images, answer=forms[0])))
    write(lake, run, "seeds", [seed for seed, _ in made])
    write(lake, run, "trajectories", [each.trajectory for _, each in made])
    write(lake, run, "evidence", [*{e.evidence_id: e for _, each in made for e in each.evidence}.values()])
    right = {"outcome": "correct", "method": "alias", "grounded": True, "gaze_useful": True, "reasons": ()}
    write(lake, run, "verdicts", [verdict_of(each.trajectory, **right) for _, each in made])
    curated = [
        Curated(
            trajectory_id=each.trajectory.trajectory_id,
            seed_id=seed.seed_id,
            split=Split.TRAIN,
            behaviour=Behaviour.MIXED,
            origin=each.trajectory.origin,
        )
        for seed, each in made
    ]
    write(lake, run, "curated", curated)
    return with_manifest(lake, run)


@pytest.fixture(
    scope="module", params=["made", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason="GOG_REAL_DATA"))]
)
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, str]:
    root = tmp_path_factory.mktemp("lake")
    return (real_run(root), "real") if request.param == "real" else (long_run(root), "small")


def below_the_fold(page: Page) -> list[str]:
    """What a decision needs, and is not in view; or is cut, without a way to see the rest."""
    return list(
        page.evaluate(
            """(needed) => [...document.querySelectorAll(needed)].filter((e) => {
              const box = e.getBoundingClientRect();
              const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
              return !inside || (e.scrollHeight > e.clientHeight + 1 && e.tabIndex < 0);
            }).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 60)}`)""",
            NEEDED,
        )
    )


def test_fifty_are_decided_by_keyboard_alone(browser: Browser, lake: tuple[Lake, str]) -> None:
    made, run = lake
    with viewed(made.root, "Ana") as view:
        context = browser.new_context(viewport=SIZES["1024"])  # type: ignore[arg-type]
        context.add_init_script(WATCH)
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.goto(f"{view.address}runs/{run}/queue{QUEUE}")
        hidden = []
        for number in range(DECISIONS):
            page.wait_for_function("(n) => window.took.length >= n", arg=number)
            page.wait_for_load_state("networkidle")
            hidden += below_the_fold(page)
            if number % 5 == 4:
                page.keyboard.press("r")
            page.keyboard.press("1" if number % 5 == 4 else "a")
        page.wait_for_function("(n) => window.took.length >= n", arg=DECISIONS)
        took = sorted(page.evaluate("window.took"))
        context.close()
    reviews = [by["Ana"] for by in read_reviews(made, run).values()]
    assert len(reviews) == DECISIONS
    assert sum(review.why == "wrong_answer" for review in reviews) == DECISIONS // 5
    assert hidden == []
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"median {statistics.median(took):.0f} ms, the longest {took[-1]:.0f} ms; {busy:.1f} processes a core")
    assert statistics.median(took) < MOST_MS * busy, "of a machine that has nothing else to do"


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_serious_finding(browser: Browser, lake: tuple[Lake, str], size: str, scheme: str) -> None:
    made, run = lake
    with viewed(made.root, "Ben") as view:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page = context.new_page()

        def check(name: str) -> None:
            found = serious(page)
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / f"{name}-{run}-{size}-{scheme}.png")
            assert found == [], name
            sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(sideways) <= 0, f"{name} scrolls sideways"

        view.post(f"/runs/{run}/filters", {"name": "long ones", "query": "?sql=turns+%3E+3"})
        paths = {"runs": "?all", "list": f"runs/{run}", "bulk": f"runs/{run}/bulk", "list-sql": f"runs/{run}?sql=turns"}
        for name, path in (paths | {"list-wrong-sql": f"runs/{run}?sql=turn+%3E+3"}).items():
            page.goto(view.address + path)
            check(name)
        page.goto(f"{view.address}runs/{run}/queue{QUEUE}")
        check("queue")
        page.keyboard.press("w")
        page.locator(".answer-field:focus").wait_for()
        check("queue-answer")
        page.keyboard.press("Escape")
        page.locator("main").focus()
        page.keyboard.press("r")
        page.keyboard.press("c")
        check("queue-open")
        page.locator("#seed").click()
        page.wait_for_url("**/seeds/**")
        check("attempts")
        page.locator("text=Side by side").click()
        page.wait_for_url("**/compare**")
        check("compare")
        page.locator("[data-decision=accept]").first.click()
        page.locator("[data-decision=accept][aria-pressed=true]").wait_for()
        page.goto(f"{view.address}runs/{run}/reviews")
        check("agreement")
        page.goto(f"{view.address}runs/{run}/audit")
        check("audit")
        context.clear_cookies()
        page.goto(view.address)
        check("locked")
        context.close()
