"""`gog review stats`, and what an export makes of reviews."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq
import pytest
from calling import Gog, Place

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import ReviewBook
from gog.schemas import Decision

ACCEPT, REJECT = Decision.ACCEPT, Decision.REJECT


def exported(place: Place, kind: str = "sft") -> dict[str, Mapping[str, Any]]:
    """Rows of an export by id."""
    found = sorted((place.run / "exports" / kind).glob("*.parquet"))
    return {row["id"]: row for path in found for row in pq.read_table(path).to_pylist()}


def book(place: Place) -> ReviewBook:
    return ReviewBook(Lake(place.lake), "tiny")


def say(kept: ReviewBook, name: str, reviewer: str, decision: Decision | None) -> None:
    kept.add(name, "seed", reviewer, decision=decision, boxes={}, comment="")


def test_exports_follow_reviews_as_they_change(gog: Gog, copied: Place) -> None:
    before = exported(copied)
    (name,) = before
    kept = book(copied)

    def export(*args: str) -> set[str]:
        assert gog("export", "sft", "-c", copied.config, *args).code == 0
        return set(exported(copied))

    assert export("--reviewed", "require") == set()
    say(kept, name, "ana", ACCEPT)
    assert export("--reviewed", "require") == {name}
    say(kept, name, "ben", REJECT)
    assert export() == set()
    (reject,) = Lake(copied.lake).read_rows("tiny", "rejects", "export_sft")
    assert (reject["id"], reject["reason"]) == (name, "export.review_disputed")
    assert export("--reviewed", "ignore") == {name}
    say(kept, name, "ben", None)
    assert export() == {name}
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
