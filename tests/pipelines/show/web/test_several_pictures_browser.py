"""A question about several pictures in a real browser: a box is corrected on the picture that it lies on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium, needs_axe, serious
from lakes import Made
from playwright.sync_api import Browser, expect
from several_pictures import run_of_several
from viewing import viewed, with_manifest
from watched_pages import DESK, PHONE, drag, saved, watched

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def several(tmp_path: Path) -> tuple[Lake, list[Made]]:
    lake, made = run_of_several(tmp_path / "lake")
    return with_manifest(lake, "several"), made


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_box_is_drawn_and_kept_on_its_own_picture(
    browser: Browser, several: tuple[Lake, list[Made]], size: dict[str, int]
) -> None:
    lake, made = several
    name = made[1].trajectory.trajectory_id
    with viewed(lake.root, "Ana") as view, watched(browser, view, size=size) as it:
        page = it.page
        page.goto(f"{view.address}runs/several/t/{name}")
        it.keep(f"two-pictures-{size['width']}")
        first, second = page.locator("[data-image='0']"), page.locator("[data-image='1']")
        page.keyboard.press("e")
        expect(page.locator("#edit-number")).to_have_text("1 on image 0")
        expect(second).to_be_hidden()
        page.keyboard.press("e")
        expect(page.locator("#edit-number")).to_have_text("2 on image 1")
        expect(first).to_be_hidden()
        expect(page.locator("#edit-left")).to_have_value("600")
        drag(page, (0.25, 0.25), (0.5, 0.75), "[data-image='1'] svg")
        it.keep(f"two-pictures-correcting-{size['width']}")
        page.keyboard.press("Enter")
        saved(page, "Box corrected")
        expect(page.locator("#review")).to_contain_text("Box of turn 3 on image 1 corrected")
        expect(first).to_be_visible()
        page.reload()
        expect(second.locator(".corrections rect:not(.under)")).to_have_count(1)
        expect(first.locator(".corrections rect")).to_have_count(0)
        drawn, picture = second.locator(".corrections rect").first.bounding_box(), second.locator("img").bounding_box()
        assert drawn is not None
        assert picture is not None
        assert (drawn["x"] - picture["x"]) / picture["width"] == pytest.approx(0.25, abs=0.03)
        assert drawn["height"] / picture["height"] == pytest.approx(0.5, abs=0.03)
        page.keyboard.press("e")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        expect(page.locator(".corrections rect:not(.under)")).to_have_count(1)
    (box,) = read_reviews(lake, "several")[name]["Ana"].boxes
    assert (box.turn, box.on_image) == (2, 1)
    assert [round(value, 2) for value in box.box] == [0.25, 0.25, 0.5, 0.75]


@needs_axe
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_three_pictures_fit_and_the_next_question_comes_with_its_own(
    browser: Browser, several: tuple[Lake, list[Made]], size: dict[str, int]
) -> None:
    lake, made = several
    with viewed(lake.root, "Ana") as view, watched(browser, view, size=size) as it:
        page = it.page
        page.goto(f"{view.address}runs/several/t/{made[2].trajectory.trajectory_id}")
        expect(page.locator("#scene img")).to_have_count(3)
        it.keep(f"three-pictures-{size['width']}")
        assert serious(page) == []
        page.locator(".show-regions").check()
        expect(page.locator("#scene .regions rect").nth(2)).to_be_visible()
        counts = {one.trajectory.trajectory_id: number for number, one in enumerate(made, 1)}
        while page.locator("#next").count():
            before = page.url
            page.locator("#next").click()
            expect(page).not_to_have_url(before)
            name = page.url.partition("/t/")[2].partition("?")[0]
            expect(page.locator("#scene img")).to_have_count(counts.pop(name))
        assert len(counts) < 3
        page.goto(f"{view.address}runs/several")
        it.keep(f"several-pictures-list-{size['width']}")
        assert serious(page) == []
