"""`report.html`: what is on it, that nothing of it runs or loads anything, and that it stays small."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lakes import Made, counted, level_of, make_seed, reflective, small_run, verdict_of, write
from PIL import Image
from several_pictures import SIZES, run_of_several
from viewing import viewed

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake, LakeError, Manifest
from gog.pipelines.show.report.examples import CROP, EXAMPLES, SCENE, TURNS, data_url
from gog.pipelines.show.report.page import write_report
from gog.pipelines.show.report.sections import sections
from gog.pipelines.show.web.run_facts import facts_of
from gog.pipelines.views.database import DATABASE, build_views, open_lake
from gog.schemas import Event, Origin, Reject, Unit

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00\u202e'\"><img src=x onerror=alert(1)> $\\frac$ {{ 7*7 }} 国旗"
LIMIT = 5_000_000
CONFIG: dict[str, Any] = Config().model_dump(mode="json") | {"teacher": "vllm:<b>Qwen</b>", "panel": ["http://b/v1#B"]}


class Page(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def finished(lake: Lake, run: str = "small") -> Lake:
    lake.write_manifest(Manifest(run=run, fingerprint="x", state="done", versions={"python": "3.11"}, config=CONFIG))
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return finished(small_run(tmp_path / "lake"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a small run."""
    return report(finished(small_run(tmp_path_factory.mktemp("report") / "lake")))


def report(lake: Lake, run: str = "small") -> str:
    return write_report(lake, run).read_text("utf-8")


def check_harmless(text: str) -> None:
    """Nothing runs, nothing is loaded, every id is there once."""
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "base", "form"} == set()
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}:
                assert str(value).startswith(("#", "data:image/")), (tag, name, str(value)[:80])
    styles = [attrs.get("style") or "" for _, attrs in page.tags]
    for address in re.findall(r"url\(([^)]*)\)", text):
        assert address.strip("'\"").startswith("#"), address
    assert "@import" not in text
    assert not any("expression" in style for style in styles)
    assert "\x1b" not in text
    assert "\x00" not in text


class TestPage:
    def test_has_every_section_with_a_plot_that_says_what_it_shows(self, text: str) -> None:
        page = Page(text)
        for name in (
            "funnel",
            "reasons",
            "behaviours",
            "turns",
            "levels",
            "gazes",
            "searches",
            "latency",
            "regions",
            "time",
        ):
            assert any(attrs.get("id") == f"{name}-section" for _, attrs in page.tags), name
            assert any(
                tag == "svg" and attrs.get("aria-labelledby") == f"{name}-title {name}-told" for tag, attrs in page.tags
            ), name
            assert any(tag == "title" and attrs.get("id") == f"{name}-title" for tag, attrs in page.tags), name
        assert any(attrs.get("id") == "spend-section" for _, attrs in page.tags)

    def test_says_the_numbers(self, text: str) -> None:
        words_of_page = Page(text).text
        for words in ("seeds 6", "trajectories 12", "kept 6", "verify.wrong 6 50", "cost $0.02"):
            assert words in words_of_page, words

    def test_says_of_what_a_share_is_and_which_calls_are_counted_as_the_pages_do(self, lake: Lake) -> None:
        (part,) = lake.parts("small", "verdicts")
        fresh = part.with_name("fresh")
        unknown = "CASE WHEN row_number() OVER (PARTITION BY outcome) > 4 THEN 'unknown' ELSE outcome END AS outcome"
        odd = "outcome = 'wrong' AND row_number() OVER (PARTITION BY outcome) = 1"
        verdicts = f"SELECT * REPLACE ({unknown}) FROM read_parquet('{part}') QUALIFY NOT ({odd})"
        duckdb.sql(f"COPY ({verdicts}) TO '{fresh}' (FORMAT parquet)")
        fresh.replace(part)
        text = Page(write_report(lake, "small").read_text()).text
        with viewed(lake.root) as view:
            page = Page(view.get("/runs/small/summary").text).text
        facts = facts_of(lake, "small")
        assert facts.all
        assert (facts.all.right.part, facts.all.right.whole, facts.all.attempts) == (4, 7, 12)
        made_by = "teacher vllm:<b>Qwen</b> judge planner:skill=1, http://b/v1#B labeller planner:skill=0.5"
        assert made_by in page
        for words in ("right, of those settled 57.1%", "calls made 2"):
            assert words in text, words
            assert words in page, words

    def test_says_when_it_was_made_how_long_it_took_and_by_whom(self, text: str) -> None:
        words = Page(text).text
        assert re.search(r"date 2001-09-09 01:46 UTC time \d+ s seeds 6 ", words)
        assert "teacher vllm:<b>Qwen</b> judge planner:skill=1, http://b/v1#B labeller planner:skill=0.5" in words

    def test_says_what_was_set_and_no_default(self, text: str) -> None:
        words = Page(text).text
        assert "Config: 2 keys are set, the others have their defaults" in words
        assert 'panel ["http://b/v1#B"]' in words
        assert "max_turns" not in words

    def test_a_run_of_an_old_lake_has_no_config_to_show(self, lake: Lake) -> None:
        lake.write_manifest(Manifest(run="small", fingerprint="x", state="done"))
        words = Page(report(lake)).text
        assert "Config:" not in words
        assert "teacher planner" not in words

    def test_draws_trajectories_with_boxes_and_crops(self, text: str) -> None:
        page = Page(text)
        tags = [tag for tag, _ in page.tags]
        assert tags.count("article") == 10
        assert tags.count("details") >= 10
        assert tags.count("image") >= 10
        crops = [attrs for tag, attrs in page.tags if tag == "img"]
        assert len(crops) == 20
        assert all(attrs["alt"] and str(attrs["src"]).startswith("data:image/webp;base64,") for attrs in crops)
        assert "says turn 2 of this result" in page.text
        assert "<answer>" not in page.text

    def test_right_and_wrong_ones_are_drawn(self, text: str) -> None:
        assert {"tag correct", "tag wrong"} <= {attrs.get("class") for _, attrs in Page(text).tags}

    def test_is_the_same_when_made_again(self, lake: Lake) -> None:
        assert report(lake) == report(lake)

    def test_loads_and_runs_nothing(self, text: str) -> None:
        check_harmless(text)

    def test_every_plot_follows_the_theme(self, text: str) -> None:
        assert "prefers-color-scheme: dark" in text
        for plot in re.findall(r"<svg xmlns.*?</svg>", text, flags=re.DOTALL):
            assert "var(--" in plot
            drawn = set(re.findall(r"#[0-9a-f]{6}\b", plot)) - {"#000000"}
            assert drawn == set() or "image" in plot, drawn

    def test_a_run_that_was_killed_is_not_called_running(self, lake: Lake) -> None:
        lake.write_manifest(Manifest(run="small", fingerprint="x", state="running"))
        assert "small not finished" in Page(report(lake)).text
        with lake.lock("small"):
            assert "small at work now" in Page(report(lake)).text

    def test_a_run_without_anything(self, tmp_path: Path) -> None:
        lake = finished(Lake(tmp_path), "none")
        text = report(lake, "none")
        check_harmless(text)
        for said in ("Nothing was counted yet", "No seed has been labelled", "No gaze", "There is no trajectory yet"):
            assert said in text

    def test_a_missing_image_leaves_its_place(self, lake: Lake) -> None:
        for path in lake.images.passing.parent.glob("*/*.jpg"):
            path.unlink()
        page = Page(report(lake))
        assert [tag for tag, _ in page.tags].count("article") == 10
        assert not any(tag in {"img", "image"} and "src" in attrs for tag, attrs in page.tags)

    def test_a_training_has_its_curves(self, lake: Lake) -> None:
        said = [
            {"step": n, "time": "2026-11-30T10:00:00Z", "values": {"reward": n / 10, "<b>kl": 0.1}} for n in range(5)
        ]
        curves = "".join(json.dumps(line) + "\n" for line in said)
        (lake.run_folder("small") / "curves.jsonl").write_text(curves + "damaged\n", "utf-8")
        text = report(lake)
        check_harmless(text)
        page = Page(text)
        assert any(
            tag == "svg" and attrs.get("aria-labelledby") == "training-title training-told" for tag, attrs in page.tags
        )
        assert "reward 4 0 0.4 0 0.4" in page.text
        assert "<b>kl 4 0.1 0.1 0.1 0.1" in page.text

    def test_a_training_that_has_logged_nothing_yet(self, lake: Lake) -> None:
        (lake.run_folder("small") / "curves.jsonl").write_text("", "utf-8")
        assert "No curve has a number yet." in Page(report(lake)).text
        (lake.run_folder("small") / "curves.jsonl").unlink()
        assert "No curve" not in Page(report(lake)).text

    def test_a_run_that_is_not_there(self, lake: Lake) -> None:
        with pytest.raises(LakeError, match="no run 'other'"):
            write_report(lake, "other")


class TestHostile:
    def test_text_from_outside_is_shown_as_text(self, tmp_path: Path) -> None:
        lake = finished(Lake(tmp_path))
        seed = make_seed(
            1, lake.images, question=HOSTILE, answers=(HOSTILE,), category=HOSTILE, dataset=HOSTILE, entity=HOSTILE
        )
        made = reflective(seed, lake.images, thought=HOSTILE.replace("\x00", ""))
        trajectory = made.trajectory.model_copy(update={"answer": HOSTILE, "teacher": HOSTILE})
        hostile_hits = [
            e.model_copy(
                update={
                    "provider": HOSTILE,
                    "hits": tuple(h.model_copy(update={"title": HOSTILE, "snippet": HOSTILE}) for h in e.hits),
                }
            )
            for e in made.evidence
        ]
        event = Event(
            key="k",
            kind="chat",
            purpose=HOSTILE,
            provider=HOSTILE,
            started=1.0,
            latency_s=1.0,
            attempts=1,
            from_store=False,
        )
        write(lake, "small", "seeds", [seed])
        write(lake, "small", "trajectories", [trajectory])
        write(lake, "small", "evidence", hostile_hits)
        write(lake, "small", "verdicts", [verdict_of(trajectory, judge=HOSTILE, judge_reply=HOSTILE)])
        write(lake, "small", "complexity", [level_of(seed, 1, HOSTILE)])
        write(lake, "small", "events", [event])
        write(lake, "small", "funnel", [counted(HOSTILE, Unit.SEED, 2, 1)])
        write(lake, "small", "rejects", [Reject.of(HOSTILE, Unit.SEED, "x", "verify.wrong", detail=HOSTILE)])
        text = report(lake)
        check_harmless(text)
        page = Page(text)
        assert page.text.count("<script>alert(1)</script>") >= 5
        assert "{{ 7*7 }}" in page.text
        assert "国旗" in page.text


def many(lake: Lake, seeds: int) -> list[Made]:
    """Trajectories of as many kinds of question, with long texts."""
    made_seeds = [
        make_seed(number, lake.images, category=f"kind {number}", question=f"{number} " + "what is it? " * 200)
        for number in range(seeds)
    ]
    write(lake, "small", "seeds", made_seeds)
    return [reflective(seed, lake.images, thought="word " * 400, origin=Origin.ROLLOUT) for seed in made_seeds]


class TestSize:
    def test_long_texts_many_kinds_and_many_stages_stay_small(self, tmp_path: Path) -> None:
        lake = finished(Lake(tmp_path))
        made = many(lake, 80)
        write(lake, "small", "trajectories", [m.trajectory for m in made])
        write(lake, "small", "evidence", [*{e.evidence_id: e for m in made for e in m.evidence}.values()])
        write(lake, "small", "verdicts", [verdict_of(m.trajectory) for m in made])
        write(lake, "small", "funnel", [counted(f"stage {n}", Unit.SEED, 10**9, n) for n in range(300)])
        path = write_report(lake, "small")
        assert path.stat().st_size < LIMIT

    def test_ten_trajectories_of_the_worst_pictures_fit(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        noise = io.BytesIO()
        Image.effect_noise((1500, 1500), 200).save(noise, "PNG")
        sha256 = lake.images.put(noise.getvalue(), "png")
        scene, crop = (len(data_url(lake.images, sha256, longest)) for longest in (SCENE, CROP))
        assert 1000 < EXAMPLES * (scene + TURNS * crop) < LIMIT - 1_000_000
        assert data_url(lake.images, "0" * 64, SCENE) == ""


class TestPlaces:
    def test_reads_the_database_of_the_run(self, lake: Lake) -> None:
        folder = lake.run_folder("small")
        build_views(folder)
        before = (folder / DATABASE).read_bytes()
        write_report(lake, "small")
        assert (folder / DATABASE).read_bytes() == before

    def test_elsewhere_it_leaves_the_lake_alone(self, lake: Lake, tmp_path: Path) -> None:
        before = sorted(lake.root.rglob("*"))
        out = write_report(lake, "small", tmp_path / "out.html")
        assert out.stat().st_size > 10_000
        assert sorted(lake.root.rglob("*")) == before


def test_sections_ask_views_as_well_as_tables(lake: Lake) -> None:
    with open_lake(lake.run_folder("small")) as connection:
        assert all(section.lines for section in sections(connection))


def test_examples_show_all_pictures_of_a_question(tmp_path: Path) -> None:
    lake, _ = run_of_several(tmp_path / "lake")
    text = write_report(finished(lake, "several"), "several").read_text("utf-8")
    articles = re.findall(r"<article>.*?</article>", text, re.DOTALL)
    drawn = [re.findall(r'<svg class="scene".*?</svg>', article, re.DOTALL) for article in articles]
    assert sorted(map(len, drawn)) == [1, 2, 3]
    for scenes in drawn:
        for number, scene in enumerate(scenes):
            name = "The image" if len(scenes) == 1 else f"Image {number}, {number + 1} of {len(scenes)}"
            assert f'aria-label="{name} of the question, with 1 boxes"' in scene
            width, height = SIZES[number]
            assert f'viewBox="0 0 1000 {round(1000 * height / width, 1)}"' in scene
            assert scene.count('<image href="data:image/webp') == 1
    assert "glance at image 1" in text
