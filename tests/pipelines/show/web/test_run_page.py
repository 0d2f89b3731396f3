"""The pages of a run over real sockets: what they say, where they lead, and what they refuse."""

import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from lakes import make_seed, small_run, write
from viewing import SCRIPT, hostile_run, viewed, with_manifest

from gog.pipelines.lake.lake import Lake, Manifest
from gog.pipelines.show.web import served_lake, snapshots
from gog.pipelines.show.web.run_facts import Facts, facts_of
from gog.pipelines.show.web.served_lake import ServedLake
from gog.pipelines.show.web.text import span
from gog.schemas import Reject, Unit
from gog.transforms.services.store.records import Tally

CURVE = {"step": 7, "time": "2026-01-02T03:04:05", "values": {"reward": 0.625}}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake"), "small")


def links(page: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="(/(?:runs|compare|\?)[^"]*)"', page)]


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_every_link_of_the_summary_leads_to_what_it_says(lake: Lake) -> None:
    with viewed(lake.root) as view:
        page = view.get("/runs/small/summary")
        assert page.status == 200
        said = words(page.text)
        assert "12 in, 6 out verify.wrong 6 (50%) the answer is wrong" in said
        assert "7 in, 6 out ingest.no_answer 1 (14%) the row has no answer" in said
        found = set(links(page.text))
        assert {"/runs/small?reason=verify.wrong", "/runs/small?kept=yes", "/runs/small?level=2"} <= found
        for link in found:
            assert view.get(link).status == 200, link
        assert "1 row at ingest" in words(view.get("/runs/small/rejects?stage=ingest&unit=row").text)


def test_the_home_page_and_the_list_lead_to_the_summary(lake: Lake) -> None:
    with viewed(lake.root) as view:
        assert "/runs/small/summary" in links(view.get("/?all").text)
        assert "/runs/small/summary" in links(view.get("/runs/small").text)


def test_a_training_has_curves_and_no_funnel(lake: Lake) -> None:
    with_manifest(lake, "training")
    path = lake.run_folder("training") / "curves.jsonl"
    path.write_text(f"{json.dumps(CURVE)}\n{{broken\n")
    with viewed(lake.root) as view:
        page = view.get("/runs/training/summary").text
        assert "reward 0.625" in words(page)
        assert "1 damaged line was passed over" in words(page)
        assert "Funnel" not in words(page)
        assert "Nothing was counted" not in words(page)


def test_a_live_training_is_at_work_without_calls_or_shards(lake: Lake) -> None:
    lake.write_manifest(Manifest(run="training", fingerprint="f", state="running", counts={"steps": 7}))
    (lake.run_folder("training") / "curves.jsonl").write_text(f"{json.dumps(CURVE)}\n")
    with viewed(lake.root) as view, lake.lock("training"):
        said = words(view.get("/runs/training/summary").text)
        assert "training at work now this page updates itself" in said
        assert "questions a second" not in said
        assert "A training has no funnel." in said
        assert "training at work now Summary 7 steps of training" in words(view.get("/?all").text)


def test_all_questions_that_stand_out_are_listed(lake: Lake) -> None:
    never = [make_seed(100 + n, lake.images) for n in range(150)]
    write(lake, "small", "seeds", never, "more")
    out = [Reject.of("synthesize", Unit.ATTEMPT, f"{s.seed_id}/0", "teacher.timeout", seed_id=s.seed_id) for s in never]
    write(lake, "small", "rejects", out, "more")
    with viewed(lake.root) as view:
        assert "/runs/small/questions/unsolved" in links(view.get("/runs/small/summary").text)
        first, second = (view.get(f"/runs/small/questions/unsolved?page={n}").text for n in (1, 2))
        assert "150 questions" in words(first)
        assert "1 without an answer" in words(first)
        listed = [link for page in (first, second) for link in links(page) if "rejects?seed=" in link]
        assert len(set(listed)) == 150
        assert "Which country's flag is number" in words(view.get(listed[0]).text)
        costly = view.get("/runs/small/questions/costliest").text
        assert "6 questions" in words(costly)
        assert re.search(r"[\d,]+ tokens in 2 attempts", words(costly))
        assert view.get("/runs/small/questions/nope").status == 404


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.25, 0.5], "0.25 to 0.5"),
        ([6.50212, 6.50219], "6.50212 to 6.50219"),
        ([1.0, 1.0], "always 1"),
        ([-12345.6, 20], "-12,346 to 20"),
    ],
)
def test_the_ends_of_a_curve_are_told_apart(values: list[float], said: str) -> None:
    assert span(values) == said


def test_a_run_that_has_nothing_says_so_in_a_sentence(lake: Lake) -> None:
    with_manifest(lake, "fresh")
    with viewed(lake.root) as view:
        assert "Nothing was counted in this run yet." in words(view.get("/runs/fresh/summary").text)
        assert "Neither run has counted anything yet." in words(view.get("/runs/fresh/against/fresh").text)


def test_two_runs_stand_side_by_side(lake: Lake) -> None:
    small_run(lake.root, seeds=3, run="other")
    for run, skill in (("small", "0.5"), ("other", "0.9")):
        config = {"run": run, "teacher": f"planner:skill={skill}", "seed": 0}
        lake.write_manifest(Manifest(run=run, fingerprint="f" * 16, state="done", config=config))
    with viewed(lake.root) as view:
        assert "/runs/small/against/other" in links(view.get("/runs/small/summary").text)
        said = words(view.get("/runs/small/against/other").text)
        assert "teacher planner:skill=0.5 planner:skill=0.9" in said
        assert "seed 0" not in said, "what is the same is not told"
        assert "verify (trajectory) 50.0% 19–81% 6 of 12 50.0% 13–87% 3 of 6" in said


@pytest.mark.parametrize("path", ["nope/summary", "nope/rejects", "small/against/nope", "..%2F..%2Fx/summary"])
def test_a_run_that_is_not_there_is_not_found(lake: Lake, path: str) -> None:
    with viewed(lake.root) as view:
        assert view.get(f"/runs/{path}").status == 404


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("stage=nope", "tage is one of ingest"),
        ("unit=nope", "nit is one of row"),
        ("reason=nope", "here is no reason 'nope'"),
        ("color=red", "othing to filter by called 'color'"),
    ],
)
def test_rejects_refuse_what_they_do_not_know(lake: Lake, query: str, said: str) -> None:
    with viewed(lake.root) as view:
        page = view.get(f"/runs/small/rejects?{query}")
        assert page.status == 400
        assert said in words(page.text)


def test_rejects_come_by_pages(lake: Lake) -> None:
    more = [Reject.of("ingest", Unit.ROW, f"row-{n:03}", "ingest.image_tiny") for n in range(120)]
    write(lake, "small", "rejects", more, "more")
    with viewed(lake.root) as view:
        query = "/runs/small/rejects?reason=ingest.image_tiny"
        seen = set()
        for number in (1, 2, 3):
            page = view.get(f"{query}&page={number}").text
            assert f"page {number} of 3" in words(page)
            seen |= set(re.findall(r"row-\d{3}", page))
        assert len(seen) == 120
        assert "There is no page 4." in words(view.get(f"{query}&page=4").text)


def test_a_damaged_run_is_told_in_a_line(lake: Lake) -> None:
    (part,) = lake.parts("small", "verdicts")
    part.write_bytes(b"no parquet")
    with viewed(lake.root) as view:
        page = view.get("/runs/small/summary")
        assert page.status == 500
        assert "Traceback" not in page.text


def test_a_hostile_run_is_shown_as_text(tmp_path: Path) -> None:
    hostile_run(tmp_path)
    lake = Lake(tmp_path)
    config = {"run": "hostile", "teacher": SCRIPT, SCRIPT: {SCRIPT: [SCRIPT]}, "judge": "http://a:secret@h"}
    lake.write_manifest(Manifest(run="hostile", fingerprint="f", state="done", config=config, detail=SCRIPT))
    line = {"step": 1, "time": SCRIPT, "values": {SCRIPT: 1, "\x07\u202e'\"": 2}}
    (lake.run_folder("hostile") / "curves.jsonl").write_text(json.dumps(line) + "\n")
    with viewed(tmp_path) as view:
        for path in ("summary", "summary/live", "rejects", "questions/costliest", "against/hostile"):
            page = view.get(f"/runs/hostile/{path}")
            assert page.status == 200
            assert "<script>" not in page.text
            assert "<img src=x" not in page.text
            assert 'onerror="' not in page.text
            assert " style=" not in page.text
            assert "secret" not in page.text
            assert not set(page.text) & {"\x00", "\x07", "\x1b", "\u202e", "\u2066"}


def test_what_updates_itself_and_what_is_removed_do_not_look_at_all_of_the_lake(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("this is not needed")

    with viewed(lake.root) as view:
        assert view.post("/runs/small/filters", {"name": "one", "query": "?kept=yes"}).status == 204
    monkeypatch.setattr(served_lake, "RunIndex", never)
    monkeypatch.setattr(ServedLake, "runs", never)
    with viewed(lake.root) as view:
        assert view.get("/runs/small/summary/live").status == 200
        assert view.get("/runs/none/summary/live").status == 404
        assert view.post("/runs/small/filters/remove", {"name": "one"}).status == 204
    assert not [*(lake.run_folder("small") / "filters").iterdir()]


def test_a_finished_run_is_added_up_once_and_again_when_it_has_grown(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = []

    def counting(of: Lake, run: str, tallies: Sequence[Tally] | None) -> Facts:
        added.append(run)
        return facts_of(of, run, tallies)

    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(snapshots, "SELDOM", 0.0)
    monkeypatch.setattr(snapshots, "facts_of", counting)
    with viewed(lake.root) as view:
        for _ in range(3):
            assert "seeds 6 trajectories 12" in words(view.get("/runs/small/summary").text)
        assert added == ["small"]
        (part,) = lake.parts("small", "seeds")
        part.unlink()
        assert "seeds 6 trajectories" not in words(view.get("/runs/small/summary").text)
        assert added == ["small", "small"]


def test_a_damaged_run_is_added_up_as_seldom_as_a_good_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    added = []

    def counting(of: Lake, run: str, tallies: Sequence[Tally] | None) -> Facts:
        added.append(run)
        return facts_of(of, run, tallies)

    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr(snapshots, "facts_of", counting)
    (part,) = lake.parts("small", "verdicts")
    whole = part.read_bytes()
    part.write_bytes(b"no parquet")
    with viewed(lake.root) as view:
        assert [view.get("/runs/small/summary/live").status for _ in range(3)] == [500] * 3
        assert added == ["small"]
    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(snapshots, "SELDOM", 0.0)
    with viewed(lake.root) as view:
        assert view.get("/runs/small/summary/live").status == 500
        part.write_bytes(whole)
        assert view.get("/runs/small/summary/live").status == 200, "what is mended is seen"


def test_a_fresh_look_does_not_wait_while_another_run_is_added_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with_manifest(lake, "slow")
    begun, go_on = threading.Event(), threading.Event()

    def slow(of: Lake, run: str, tallies: Sequence[Tally] | None) -> Facts:
        if run == "slow":
            begun.set()
            assert go_on.wait(20)
        return facts_of(of, run, tallies)

    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr(snapshots, "facts_of", slow)
    served = ServedLake(lake)
    shots = snapshots.Snapshots(served)
    known = shots.of("small")
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(shots.of, "slow")
        assert begun.wait(20)
        try:
            assert pool.submit(shots.of, "small").result(5) is known
        finally:
            go_on.set()
        assert other.result(20).run == "slow"
    served.close()
