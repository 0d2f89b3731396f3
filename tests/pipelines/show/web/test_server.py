"""Pages and reviews, over real sockets."""

import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from lakes import reflective, small_run, write
from viewing import SCRIPT, View, hostile_run, ids, viewed, with_manifest

from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.lake.review_files import read_audits
from gog.schemas import Outcome, Seed


class Page(HTMLParser):
    """Elements and text of a page, as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake"), "small")


def review(view: View, page: str, **body: object) -> str:
    reply = view.post(f"{page}/review", body)
    assert reply.status == 200, reply.text
    return reply.text


def test_a_list_leads_to_its_trajectories_and_they_to_each_other(lake: Lake) -> None:
    with viewed(lake.root) as view:
        reply = view.get("/")
        assert (reply.status, reply.headers["location"]) == (302, "/runs/small")
        listed = view.get("/runs/small?outcome=correct&sort=question&down=1").text
        names = ids(listed)
        assert len(names) == 6
        page = view.get(f"/runs/small/t/{names[1]}?outcome=correct&sort=question&down=1").text
        assert "2 of 6" in page
        assert f"/runs/small/t/{names[2]}?outcome=correct&amp;sort=question&amp;down=1" in page
        shown = Page(page)
        assert "Which country's flag is number 4?" in shown.said
        assert len([a for a in shown.all("g") if "data-turn" in a]) == 2
        said = " ".join(shown.said.split())
        for word in ("off target says turn 2 of this result", "settled by", "exact", "Uganda", "0.93", "corpus:atlas"):
            assert word in said
        for image in shown.all("img"):
            assert view.get(str(image["src"])).status == 200
        seed = next(a["href"] for a in shown.all("a") if a.get("id") == "seed")
        assert "Attempts" in view.get(str(seed)).text
        assert view.get(f"/compare?a=small/{names[0]}&b=small/{names[1]}").text.count('class="side"') == 2
        assert view.get("/runs/small/reviews").status == 200


def test_a_review_is_on_every_page_and_in_the_next_server(lake: Lake) -> None:
    with viewed(lake.root) as view:
        name = ids(view.get("/runs/small").text)[0]
        page = f"/runs/small/t/{name}"
        review(view, page, decision="accept")
        review(view, page, boxes={"1": [0.1, 0.2, 0.3, 0.4]})
        fragment = Page(review(view, page, comment="<b>good</b>"))
        assert "<b>good</b>" in fragment.said
        assert [a["data-box"] for a in fragment.all("li")] == ["0.1 0.2 0.3 0.4"]
        assert [a["aria-pressed"] for a in fragment.all("button") if "data-decision" in a] == ["true", "false"]
        assert ids(view.get("/runs/small?review=accepted").text) == [name]
        assert name not in ids(view.get("/runs/small?review=todo").text)
    assert (lake.table_folder("small", "reviews") / "part-review-00000.parquet").exists()
    with viewed(lake.root, "ben") as view:
        shown = Page(view.get(page).text)
        assert "1 other review, shown once you have decided" in shown.said
        assert "<b>good</b>" not in shown.said, "reviewers are blind to each other"
        assert 'good">accepted<' not in view.get("/runs/small").text
        shown = Page(review(view, page, decision="reject"))
        assert "ana" in shown.said
        assert "<b>good</b>" in shown.said
        assert ids(view.get("/runs/small?review=disputed").text) == [name]
        stats = Page(view.get("/runs/small/reviews").text)
        assert "ana and ben" in " ".join(stats.said.split())
        taken = Page(review(view, page, decision=None))
        assert [a["aria-pressed"] for a in taken.all("button") if "data-decision" in a] == ["false", "false"]
        assert ids(view.get("/runs/small?review=accepted").text) == [name]


def test_two_servers_on_one_lake_see_each_other(lake: Lake) -> None:
    with viewed(lake.root, "ana") as one, viewed(lake.root, "ben") as two:
        name = ids(one.get("/runs/small").text)[0]
        assert ids(two.get("/runs/small?review=accepted").text) == []
        review(one, f"/runs/small/t/{name}", decision="accept")
        assert ids(two.get("/runs/small?review=accepted").text) == [name]
        review(two, f"/runs/small/t/{name}", decision="reject")
        assert ids(one.get("/runs/small?review=disputed").text) == [name]


def test_the_journal_goes_into_the_table_while_the_server_runs(lake: Lake) -> None:
    with viewed(lake.root) as view:
        review(view, f"/runs/small/t/{ids(view.get('/runs/small').text)[0]}", decision="accept")
        deadline = time.monotonic() + 15
        while not lake.parts("small", "reviews"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_reviewer_has_the_name_that_the_browser_gave(lake: Lake) -> None:
    with viewed(lake.root, "login") as view:
        reply = view.post("/reviewer", {"name": " Żaneta; <b>\n"})
        cookie = reply.headers["set-cookie"]
        assert reply.status == 204
        assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
        own = cookie.partition(";")[0]
        assert "Żaneta; &lt;b&gt;" in view.get("/runs/small", Cookie=own).text
        assert "login" in view.get("/runs/small", Cookie="gog_reviewer=%00").text
        for name in ("", "x" * 61, 7, None, "\u200b", "a\ud800"):
            assert view.post("/reviewer", {"name": name}).status == 422


NO_REVIEWS: tuple[object, ...] = (
    [],
    "text",
    {"decision": "maybe"},
    {"comment": "half of a character: \ud800"},
    {"decision": 1},
    {"comment": 7},
    {"comment": "x" * 4001},
    {"boxes": []},
    {"boxes": {"1": [0, 0, 1]}},
    {"boxes": {"1": [0, 0, 2, 1]}},
    {"boxes": {"1": [0.5, 0, 0.5, 1]}},
    {"boxes": {"1": [0, 0, 1, 10**400]}},
    {"boxes": {"1": [0, 0, 1, float("nan")]}},
    {"boxes": {"1": ["0", "0", "1", "1"]}},
    {"boxes": {"2": [0, 0, 1, 1]}},
    {"boxes": {"-1": [0, 0, 1, 1]}},
    {"boxes": {"9" * 100: [0, 0, 1, 1]}},
    {"boxes": {"１": [0, 0, 1, 1]}},
)


def test_a_review_that_is_none_is_refused(lake: Lake) -> None:
    with viewed(lake.root) as view:
        page = f"/runs/small/t/{ids(view.get('/runs/small').text)[0]}"
        for body in NO_REVIEWS:
            assert view.post(f"{page}/review", body).status in (400, 422), body
        assert view.post("/runs/small/t/none/review", {"decision": "accept"}).status == 404
        assert not list(lake.run_folder("small").glob("reviews/*"))


def test_a_hostile_lake_is_shown_as_text(tmp_path: Path) -> None:
    name = hostile_run(tmp_path)
    with viewed(tmp_path) as view:
        page = f"/runs/hostile/t/{name}"
        fragment = review(view, page, comment=SCRIPT, decision="reject")
        pages = [view.get(path).text for path in ("/?all", "/runs/hostile", page, "/runs/hostile/reviews")]
        pages.append(view.get(f"/compare?a=hostile/{name}&b=hostile/{name}").text)
        pages.append(view.get(f"/runs/hostile/seeds/{Page(pages[2]).said and _seed(tmp_path).seed_id}").text)
        for html in [fragment, *pages]:
            shown = Page(html)
            own = {str(script.get("src")).partition("?")[0] for script in shown.all("script")}
            assert own <= {"/static/app.js", "/static/review.js"}, "no script but the server's own"
            assert bool(own) == (html is not fragment)
            assert not [a for _, attributes in shown.elements for a in attributes if a.startswith("on")]
            assert not [a for _, attributes in shown.elements for a in attributes if a == "style"]
            links = [str(attributes.get(a)) for _, attributes in shown.elements for a in ("href", "src", "action")]
            assert {link[0] for link in links if link != "None"} <= {"/", "#"}, "no link leaves the server"
            assert not set(html) & {"\x00", "\x07", "\x1b", "\u202e", "\u2066"}
        assert SCRIPT in Page(fragment).said
        text = Page(pages[2]).said
        assert text.count(SCRIPT) > 10
        assert "\\x00\\x07\\x1b[31m\\u202egnp.exe" in text
        assert "{{ 7*7 }}" in text


def _seed(root: Path) -> Seed:
    return next(iter(Lake(root).read_table("hostile", "seeds", Seed)))


def test_links_to_the_web_are_links(lake: Lake) -> None:
    seed = next(iter(lake.read_table("small", "seeds", Seed)))
    made = reflective(seed, lake.images, sample=7)
    hits = [h.model_copy(update={"url": "https://example.org/?a=1&b=<x>"}) for h in made.evidence[0].hits]
    other = made.evidence[0].model_copy(update={"hits": tuple(hits), "evidence_id": "evidence-web"})
    step = made.trajectory.steps[0].model_copy(update={"evidence_ids": ("evidence-web",)})
    changed = made.trajectory.model_copy(update={"steps": (step, *made.trajectory.steps[1:]), "trajectory_id": "web"})
    write(lake, "small", "trajectories", [changed], "more")
    write(lake, "small", "evidence", [other], "more")
    with viewed(lake.root) as view:
        links = [a for a in Page(view.get("/runs/small/t/web").text).all("a") if a.get("target") == "_blank"]
        assert {a["href"] for a in links} == {"https://example.org/?a=1&b=<x>"}
        assert {a["rel"] for a in links} == {"noreferrer noopener external"}


def test_the_runs_are_shown_with_what_they_are_at_now(lake: Lake) -> None:
    lake.write_manifest(Manifest(run="killed", fingerprint="f" * 16, state="running"))
    lake.write_manifest(Manifest(run="live", fingerprint="f" * 16, state="running"))
    with lake.lock("live"), viewed(lake.root) as view:
        said = " ".join(Page(view.get("/?all").text).said.split())
    assert "killed not finished" in said
    assert "live at work now" in said
    assert "small done" in said


def test_what_is_damaged_or_missing_is_told_in_one_line(lake: Lake) -> None:
    for path in lake.parts("small", "verdicts"):
        path.write_bytes(b"PAR1 no parquet")
    with viewed(lake.root) as view:
        reply = view.get("/runs/small")
        assert reply.status == 500
        assert "cannot be shown" in reply.text
        assert "Traceback" not in reply.text
        assert view.get("/runs/none").status == 404
        assert view.get("/runs/small/t/x").status == 500


def test_what_does_not_match_is_shown_as_far_as_it_goes(lake: Lake) -> None:
    """Steps without messages, without a seed, with evidence that is not there."""
    seed = next(iter(lake.read_table("small", "seeds", Seed)))
    made = reflective(seed, lake.images, sample=8).trajectory
    alone = made.model_copy(
        update={"trajectory_id": "alone", "seed_id": "gone", "messages": (), "images": (), "answer": None}
    )
    write(lake, "small", "trajectories", [alone], "more")
    with viewed(lake.root) as view:
        reply = view.get("/runs/small/t/alone")
        assert reply.status == 200
        assert "The seed is not in this run" in reply.text
        assert view.get("/runs/small/seeds/gone").status == 200
        assert view.get("/runs/small?q=alone").status == 200


def test_parts_that_come_later_are_seen(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gog.pipelines.show.web.served_lake.LOOK_EVERY_S", 0.0)
    with viewed(lake.root) as view:
        assert "<strong>12</strong>" in view.get("/runs/small").text
        seed = next(iter(lake.read_table("small", "seeds", Seed)))
        write(lake, "small", "trajectories", [reflective(seed, lake.images, sample=9).trajectory], "more")
        deadline = time.monotonic() + 60
        while "<strong>13</strong>" not in view.get("/runs/small").text:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_same_seed_of_another_run_stands_beside(lake: Lake) -> None:
    with_manifest(small_run(lake.root, seeds=2, run="other"), "other")
    with viewed(lake.root) as view:
        assert view.get("/").text.count('<li class="card">') == 2
        name = next(iter(lake.read_table("other", "seeds", Seed))).seed_id
        attempts = Page(view.get(f"/runs/small/seeds/{name}").text)
        values = [a["value"] for a in attempts.all("input") if a.get("name") == "b"]
        assert {str(value).partition("/")[0] for value in values} == {"small", "other"}
        both = view.get(f"/compare?a={values[0]}&b={values[-1]}")
        assert both.status == 200
        assert "two different seeds" not in both.text


def test_an_audit_asks_one_after_the_other_and_ends_with_its_report(lake: Lake) -> None:
    asked: list[str] = []
    with viewed(lake.root) as view:
        for word in ("wrong", "skip", "right", *["right"] * 10):
            page = Page(view.get("/runs/small/audit").text)
            (card,) = [a for a in page.all("section") if a.get("id") == "audit"]
            asked.append(str(card["data-url"]).split("/")[-2])
            assert view.post(str(card["data-url"]), {"word": word}).status == 204
        assert asked[1] == asked[-1], "what was passed over comes last"
        assert len(set(asked)) == len(asked) - 1 == 12
        done = Page(view.get("/runs/small/audit").text)
        assert "You have decided on 12 of 12 verdicts." in " ".join(done.said.split())
        assert "False accepts" in done.said
        back = Page(view.get("/runs/small/audit?place=1").text)
        pressed = [a.get("aria-pressed") for a in back.all("button") if "data-word" in a]
        assert pressed.count("true") == 1
        assert view.post(f"/runs/small/t/{asked[0]}/audit", {"word": "maybe"}).status == 422
        assert view.post("/runs/small/t/trajectory-none/audit", {"word": "right"}).status == 404
        assert view.get("/runs/none/audit").status == 404
    said = {name: by["ana"].outcome for name, by in read_audits(lake, "small").items()}
    assert said == {name: Outcome.WRONG if name == asked[0] else Outcome.CORRECT for name in asked}


def test_an_audit_shows_hostile_text_as_text(tmp_path: Path) -> None:
    name = hostile_run(tmp_path / "lake")
    with viewed(tmp_path / "lake") as view:
        for query in ("", "?size=999999999&seed=-1&place=0", "?place=99999", "?report"):
            page = view.get(f"/runs/hostile/audit{query}")
            assert page.status == 200
            assert SCRIPT not in page.text
        assert view.post(f"/runs/hostile/t/{name}/audit", {"word": ["right"]}).status == 422
