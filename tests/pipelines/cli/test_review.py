"""`gog review stats`, and what an export makes of reviews."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from calling import Gog, Place, place

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import ReviewBook
from gog.schemas import Decision

ACCEPT, REJECT = Decision.ACCEPT, Decision.REJECT


def exported(place: Place, kind: str = "sft") -> dict[str, Mapping[str, Any]]:
    """Rows of an export by id."""
    found = sorted((place.run / "exports" / kind / "data").glob("*.parquet"))
    return {row["id"]: row for path in found for row in pq.read_table(path).to_pylist()}


def book(place: Place) -> ReviewBook:
    return ReviewBook(Lake(place.lake), "tiny")


def say(kept: ReviewBook, name: str, reviewer: str, decision: Decision | None) -> None:
    kept.add(name, "seed", reviewer, decision=decision, boxes=[], comment="")


def test_exports_follow_reviews_as_they_change(gog: Gog, copied: Place) -> None:
    before = exported(copied)
    name, *others = sorted(before)
    kept = book(copied)

    def export(*args: str) -> set[str]:
        # What nobody wants is an export with nothing in it, and says so.
        code = gog("export", "sft", "-c", copied.config, "--replace", *args).code
        assert code == (0 if exported(copied) else 1)
        return set(exported(copied))

    assert export("--reviewed", "require") == set()
    say(kept, name, "ana", ACCEPT)
    assert export("--reviewed", "require") == {name}
    say(kept, name, "ben", REJECT)
    assert export() == set(others)
    (reject,) = Lake(copied.lake).read_rows("tiny", "rejects", "export_sft")
    assert (reject["id"], reject["reason"]) == (name, "export.review_disputed")
    assert export("--reviewed", "prefer") == set(others)
    assert export("--reviewed", "ignore") == set(before)
    say(kept, name, "ben", None)
    assert export() == set(before)
    assert exported(copied) == before
    wrong = gog("export", "rl", "-c", copied.config, "--reviewed", "require")
    assert (wrong.code, "RL splits hold seeds" in wrong.error) == (2, True)


def test_stats_tell_who_agrees(gog: Gog, copied: Place) -> None:
    nobody = gog("review", "stats", "--lake", copied.lake)
    assert (nobody.code, "nobody has reviewed" in nobody.out) == (0, True)
    kept = book(copied)
    names = sorted(row["trajectory_id"] for row in Lake(copied.lake).read_rows("tiny", "verdicts"))
    for number, name in enumerate(names[:3]):
        say(kept, name, "ana", ACCEPT)
        say(kept, name, "Ben\x1b[31m", REJECT if number == 0 else ACCEPT)
    told = gog("review", "stats", "--lake", copied.lake)
    assert told.code == 0
    assert "2 accepted, 0 rejected, 1 disputed" in told.out
    assert re.search(r"Ben \[31m and ana\s+3\s+0\.67 \(0\.00 to 1\.00\)", told.out)
    assert "ana and verification" in told.out
    assert "\x1b" not in told.out
    stats = json.loads(gog("review", "stats", "--lake", copied.lake, "--json").out)
    assert stats["people"][0]["agreed"]["value"] == pytest.approx(2 / 3)
    assert stats["reviewers"]["ana"]["accepted"] == 3


def test_the_judge_is_asked_about_what_rules_settled(gog: Gog, copied: Place) -> None:
    done = gog("review", "stats", "--lake", copied.lake, "--ask-judge", "10", "--json")
    assert done.code == 0, done.err
    asked = json.loads(done.out)["rules_and_judge"]
    settled = Counter(
        row["outcome"]
        for row in Lake(copied.lake).read_rows("tiny", "verdicts")
        if row["method"] in {"exact", "alias", "number", "date"}
    )
    right = asked["right"]
    assert (right["settled"], asked["wrong"]["settled"]) == (settled["correct"], settled["wrong"])
    assert right["asked"] + asked["wrong"]["asked"] == min(10, settled.total())
    assert (right["agreed"]["part"], right["agreed"]["whole"]) == (right["asked"], right["asked"])
    assert right["agreed"]["low"] < right["agreed"]["value"] == 1
    assert (asked["disagreed"], asked["stopped"]) == ([], "")
    spent = gog("inspect", "--lake", copied.lake, "--sql", "from verdicts limit 1")
    assert spent.code == 0
    told = gog("review", "stats", "--lake", copied.lake, "--ask-judge", "10")
    assert "Rules and the judge" in told.out
    assert re.search(r"correct +\d+ +\d+ +0 +1\.00 \(0\.\d\d to 1\.00\)", told.out)


def test_a_panel_votes_in_a_run_and_is_shown_with_its_agreement(gog: Gog, tmp_path: Path) -> None:
    made = place(tmp_path, panel=["planner:skill=0.7", "planner:skill=0.8"])
    assert gog("run", "-c", made.config).code == 0
    votes = [json.loads(row["votes"]) for row in Lake(made.lake).read_rows("tiny", "verdicts")]
    assert {len(each) % 3 for each in votes} == {0}
    assert any(votes)
    stats = json.loads(gog("review", "stats", "--lake", made.lake, "--json").out)
    assert len(stats["panel"]) == 3
    assert all(pair["agreed"]["value"] is not None for pair in stats["panel"])
    assert "Judges of the panel" in gog("review", "stats", "--lake", made.lake).out
    lines = gog("inspect", "--lake", made.lake, "--sql", "select judge, asked, abstained from panel", "--json").out
    assert len({row["judge"] for row in json.loads(lines)}) == 3
    assert gog("report", "--lake", made.lake).code == 0
    assert "Panel of judges" in (made.run / "report.html").read_text("utf-8")
    checks = {check["name"]: check["state"] for check in json.loads(gog("doctor", "-c", made.config, "--json").out)}
    assert [checks[name] for name in ("judge", "judge 2", "judge 3")] == ["ok"] * 3
    plan = json.loads(gog("plan", "-c", made.config, "--run", "other", "--json").out)
    asked = {line["service"] for line in plan["lines"] if line["purpose"] == "verify"}
    assert asked == {"planner:skill=1", "planner:skill=0.7", "planner:skill=0.8"}


def test_no_judge_has_two_seats(gog: Gog, tmp_path: Path) -> None:
    made = place(tmp_path, panel=["planner:skill=0.7", "planner:skill=1"])
    done = gog("run", "-c", made.config)
    assert (done.code, "panel: planner:2?skill=1 has two seats" in done.error) == (2, True)
