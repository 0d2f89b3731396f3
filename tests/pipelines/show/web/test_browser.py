"""`gog view` in a real browser; nothing leaves the loopback. Keeps a picture of every page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium
from lakes import small_run
from playwright.sync_api import Browser, Page, expect
from viewing import View, hostile_run, viewed, with_manifest
from watched_pages import DESK, PHONE, drag, saved, watched

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_audits, read_reviews


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake", seeds=30), "small")


def open_first(page: Page) -> None:
    """Open the first trajectory of the list."""
    page.locator(".rows .open").first.click()
    page.wait_for_url("**/t/**")


def test_list_filter_open_drag_accept_comment_reload(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        page = it.page
        page.goto(view.address)
        expect(page.locator(".count strong")).to_have_text("60")
        it.keep("list")
        page.select_option("select[name=outcome]", "correct")
        expect(page.locator(".count strong")).to_have_text("30")
        assert re.fullmatch(r".*/runs/small\?outcome=correct", page.url), "empty choices are not in the address"
        page.wait_for_load_state()
        page.keyboard.press("/")
        page.keyboard.type("number 2")
        page.keyboard.press("Enter")
        expect(page.locator(".count strong")).to_have_text("12")
        page.locator(".rows .open").first.focus()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/t/**")
        expect(page.locator(".step span").nth(1)).to_have_text("2 of 12")

        page.keyboard.press("e")
        expect(page.locator("#edit-number")).to_have_text("1")
        drag(page, (0.25, 0.25), (0.5, 0.75))
        expect(page.locator("#edit-bottom")).to_have_value(re.compile("7(49|50|51)"))
        expect(page.locator("#edit .becomes")).to_contain_text("the turn of this box is not trained")
        it.keep("correcting")
        page.keyboard.press("Enter")
        saved(page, "Box corrected")
        expect(page.locator(".corrected + p")).to_contain_text("the turn of this box is not trained")
        page.locator(".go-on").uncheck()
        page.keyboard.press("a")
        saved(page, "Accepted")
        page.keyboard.press("c")
        page.keyboard.type("The flag is <b>left</b> of it & small")
        page.keyboard.press("Control+Enter")
        saved(page, "Comment saved")
        page.reload()
        expect(page.locator("[data-decision=accept]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".comment")).to_have_value("The flag is <b>left</b> of it & small")
        expect(page.locator(".corrections rect:not(.under)")).to_have_count(1)
        it.keep("trajectory")
        name = page.url.partition("/t/")[2].partition("?")[0]
    kept = read_reviews(lake, "small")[name]["Ana"]
    assert [round(v, 2) for v in kept.boxes[0].box] == [0.25, 0.25, 0.5, 0.75]
    assert (kept.boxes[0].turn, kept.decision, kept.comment[:9]) == (0, "accept", "The flag ")


def test_sql_filters_and_a_filter_is_saved_applied_and_removed(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        page = it.page
        page.goto(f"{view.address}runs/small")
        page.locator("[name=sql]").fill("turns > 3 and answer = 'Uganda'")
        page.keyboard.press("Enter")
        expect(page.locator(".count strong")).to_have_text("30")
        page.locator("#save-name").fill("Uganda & more")
        page.keyboard.press("Enter")
        saved(page, "Filter saved")
        it.keep("saved-filter")
        page.locator(".count a", has_text="show all").click()
        expect(page.locator(".count strong")).to_have_text("60")
        page.locator("#saved a", has_text="Uganda & more").click()
        expect(page.locator(".count strong")).to_have_text("30")
        expect(page.locator("[name=sql]")).to_have_value("turns > 3 and answer = 'Uganda'")
        expect(page.locator("#saved a[aria-current=true]")).to_have_text("Uganda & more")
        page.get_by_label("Remove the filter Uganda & more").click()
        saved(page, "Filter removed")
        assert page.locator("#saved").count() == 0


def test_a_review_is_there_after_the_server_began_anew(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        it.page.goto(view.address)
        open_first(it.page)
        path = it.page.url.removeprefix(view.address)
        it.page.locator(".go-on").uncheck()
        it.page.keyboard.press("r")
        it.page.keyboard.press("3")
        saved(it.page, "Rejected")
        expect(it.page.locator("[data-why=ungrounded]")).to_have_attribute("aria-pressed", "true")
    with viewed(lake.root, "Ben") as view, watched(browser, view) as it:
        page = it.page
        page.goto(view.address + path)
        expect(page.locator("#review")).to_contain_text("1 other review, shown once you have decided")
        expect(page.locator("#review")).not_to_contain_text("Ana")
        page.locator(".go-on").uncheck()
        page.keyboard.press("a")
        saved(page, "Accepted")
        expect(page.locator(".others li")).to_contain_text("Ana rejected ungrounded")
        it.keep("disputed")
        page.goto(f"{view.address}runs/small/reviews")
        it.keep("agreement")
        page.keyboard.press("l")
        page.select_option("select[name=review]", "disputed")
        expect(page.locator(".count strong")).to_have_text("1")
        open_first(page)
        page.keyboard.press("u")
        saved(page, "Undone")
        expect(page.locator("[data-decision][aria-pressed=true]")).to_have_count(0)


def test_keys_walk_the_list_and_go_on_after_a_decision(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        page = it.page
        page.goto(f"{view.address}runs/small?review=todo")
        names = [str(a.get_attribute("href")).partition("?")[0] for a in page.locator(".rows .open").all()]
        open_first(page)
        page.keyboard.press("j")
        page.wait_for_url(f"**{names[1]}?review=todo")
        page.keyboard.press("k")
        page.wait_for_url(f"**{names[0]}?review=todo")
        for name in names[1:4]:
            page.keyboard.press("a")
            page.wait_for_url(f"**{name}?review=todo")
        expect(page.locator(".progress")).to_contain_text("3 of 60 by you, 3 by all")
        page.keyboard.press("u")
        page.wait_for_url(f"**{names[2]}?review=todo")
        saved(page, "Undone")
        page.keyboard.press("s")
        page.wait_for_url(f"**{names[3]}?review=todo")
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()
        it.keep("help")
        page.keyboard.press("j")
        page.keyboard.press("Escape")
        expect(page.locator("#help")).to_be_hidden()
        assert page.url.partition("?")[0].endswith(names[3]), "a dialog takes the keys"
        page.keyboard.press("l")
        expect(page.locator(".count strong")).to_have_text("58")


def test_a_box_is_corrected_with_keys_alone_and_taken_back(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        page = it.page
        page.goto(view.address)
        open_first(page)
        page.keyboard.press("e")
        page.keyboard.press("e")
        expect(page.locator("#edit-number")).to_have_text("2")
        page.keyboard.press("Escape")
        expect(page.locator("#edit")).to_be_hidden()
        page.keyboard.press("e")
        page.locator("#edit-left").fill("120")
        page.locator("#edit-right").fill("480")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        expect(page.locator("#edit-left")).to_have_value("125")
        expect(page.locator("#edit-bottom")).to_have_value("405")
        page.keyboard.press("Enter")
        saved(page, "Box corrected")
        page.locator("[data-undo]").click()
        saved(page, "The box is as the teacher had it")
        expect(page.locator(".corrections rect")).to_have_count(0)


def test_a_comment_that_was_not_saved_is_saved_with_the_decision(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view, watched(browser, view) as it:
        page = it.page
        page.goto(view.address)
        open_first(page)
        page.keyboard.press("c")
        page.locator(".comment").fill("said before the decision")
        page.locator(".go-on").uncheck()
        page.locator("[data-decision=reject]").click()
        page.locator("[data-why=other]").click()
        saved(page, "Rejected")
        page.reload()
        expect(page.locator(".comment")).to_have_value("said before the decision")


def test_a_reviewer_changes_their_name(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "login") as view, watched(browser, view) as it:
        page = it.page
        page.goto(view.address)
        page.locator("#who").click()
        page.locator("#name-field").fill("Zoë <i>")
        page.keyboard.press("Enter")
        expect(page.locator("#who bdi")).to_have_text("Zoë <i>")


def test_side_by_side_dark_and_on_a_phone(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view:
        with watched(browser, view, scheme="dark") as it:
            it.page.goto(view.address)
            it.keep("list-dark")
            open_first(it.page)
            it.keep("trajectory-dark")
            it.page.keyboard.press("o")
            it.page.wait_for_url("**/seeds/**")
            it.keep("attempts-dark")
            it.page.locator("text=Side by side").click()
            expect(it.page.locator(".side")).to_have_count(2)
            it.page.locator(".side").nth(1).locator("[data-decision=accept]").click()
            saved(it.page, "Accepted")
            expect(it.page.locator("[data-decision=accept][aria-pressed=true]")).to_have_count(1)
            it.keep("compare-dark")
        with watched(browser, view, size=PHONE) as it:
            it.page.goto(view.address)
            it.keep("list-phone")
            open_first(it.page)
            it.keep("trajectory-phone")
            for crop in it.page.locator(".crop").all():
                evidence = crop.locator("xpath=following-sibling::*").bounding_box()
                beside = crop.bounding_box()
                assert evidence
                assert beside
                assert evidence["y"] >= beside["y"] + beside["height"], "beside a crop titles break into letters"
            it.page.goto(f"{view.address}?all")
            it.keep("runs-phone")


def test_nothing_of_a_hostile_lake_runs(browser: Browser, tmp_path: Path) -> None:
    name = hostile_run(tmp_path)
    with viewed(tmp_path, "Ana") as view, watched(browser, view) as it:
        page = it.page
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        for path in (
            "",
            f"runs/hostile/t/{name}",
            f"compare?a=hostile/{name}&b=hostile/{name}",
            "runs/hostile/reviews",
        ):
            page.goto(view.address + path)
            page.wait_for_load_state("networkidle")
            assert page.title() != "owned"
            assert page.locator("script:not([src^='/static/'])").count() == 0
        page.goto(f"{view.address}runs/hostile/t/{name}")
        it.keep("hostile")
        page.keyboard.press("c")
        page.locator(".comment").fill("</textarea><script>document.title='owned'</script>")
        page.keyboard.press("Control+Enter")
        saved(page, "Comment saved")
        expect(page.locator(".comment")).to_have_value("</textarea><script>document.title='owned'</script>")
        assert page.title() != "owned"
        assert dialogs == []


def test_every_field_and_button_has_a_name_and_text_has_contrast(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root, "Ana") as view:
        for scheme in ("light", "dark"):
            with watched(browser, view, scheme=scheme) as it:
                it.page.goto(view.address)
                _check_access(it.page, scheme)
                open_first(it.page)
                it.page.locator(".go-on").uncheck()
                it.page.keyboard.press("a")
                saved(it.page, "Accepted")
                _check_access(it.page, scheme)


NAMELESS = """() => [...document.querySelectorAll('button, input:not([type=hidden]), select, textarea, a, img, meter')]
    .filter((e) => !(e.matches('img') ? e.hasAttribute('alt')
      : e.ariaLabel || e.labels?.length || e.textContent.trim() || e.querySelector('img')))
    .map((e) => e.outerHTML.slice(0, 200))"""

FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour, under) => {
    canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (c) => c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const under = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return 'white';
  };
  const faint = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('svg, .hidden')) continue;
    const ground = under(e);
    const [a, b] = [light(rgb(getComputedStyle(e).color, ground)), light(rgb(ground, ground))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`);
  }
  return faint;
}"""


def _check_access(page: Page, scheme: str) -> None:
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(FAINT) == [], scheme
    assert page.locator("html[lang=en]").count() == page.locator("h1").count() == page.locator("main").count() == 1


def test_it_says_so_when_the_server_is_gone(browser: Browser, lake: Lake) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    with viewed(lake.root, "Ana") as view:
        context.add_cookies([view.cookie])  # type: ignore[list-item]
        page.goto(_first(view))
    page.keyboard.press("a")
    expect(page.locator("#told")).to_contain_text("not saved: the server does not answer")
    expect(page.locator("[data-decision=accept]")).to_have_attribute("aria-pressed", "false")
    context.close()


def _first(view: View) -> str:
    found = re.search(r'class="open" href="/([^"]+)"', view.get("/runs/small").text)
    assert found
    return view.address + found[1]


def test_an_audit_goes_by_keys(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root) as view, watched(browser, view) as seen:
        page = seen.page
        page.goto(f"{view.address}runs/small")
        page.get_by_role("link", name="Audit").click()
        place = page.locator("nav.step")
        for number, key in enumerate("rws", start=1):
            expect(place).to_contain_text(f"{min(number, 3)} of 50")
            if number == 1:
                seen.keep("audit")
            with page.expect_navigation():
                page.keyboard.press(key)
        expect(place).to_contain_text("3 of 50")
        page.keyboard.press("b")
        expect(place).to_contain_text("2 of 50")
        expect(page.locator("[data-word=wrong]")).to_have_attribute("aria-pressed", "true")
        with page.expect_navigation():
            page.keyboard.press("r")
        expect(place).to_contain_text("3 of 50")
        page.get_by_role("link", name="Report").click()
        expect(page.locator("main")).to_contain_text("You have decided on 2 of 50 verdicts.")
        seen.keep("audit-report")
    words = sorted(by["ana"].outcome.value for by in read_audits(lake, "small").values())
    assert words == ["correct", "correct", "unknown"]


def test_an_audit_fits_a_phone(browser: Browser, lake: Lake) -> None:
    with viewed(lake.root) as view, watched(browser, view, size=PHONE, scheme="dark") as seen:
        seen.page.goto(f"{view.address}runs/small/audit")
        seen.keep("audit-phone")
