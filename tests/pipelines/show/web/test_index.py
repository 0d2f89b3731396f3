"""The list: what is in it, what filters find, what stands beside what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lakes import small_run, write

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.reviews import latest
from gog.pipelines.show.web.filters import SORTS, Filter, FilterError
from gog.pipelines.show.web.index import Option, RunIndex
from gog.pipelines.show.web.listed import DOUBTS, signature
from gog.schemas import Decision, Review, Verdict, Vote


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return small_run(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def index(lake: Lake) -> Iterator[RunIndex]:
    made = RunIndex(lake, "small")
    yield made
    made.close()


def found(index: RunIndex, reviewer: str = "ana", **query: str) -> list[str]:
    return [row["trajectory_id"] for row in index.page(Filter.of(query), reviewer, 0, 100).rows]


def review(trajectory: str, reviewer: str, decision: Decision | None) -> Review:
    values = {"review_id": f"{trajectory}-{reviewer}", "seed_id": "s", "number": 1, "made": 0.0}
    return Review(trajectory_id=trajectory, reviewer=reviewer, decision=decision, comment="hm", **values)


def test_the_list_has_every_trajectory_once_with_what_belongs_to_it(index: RunIndex) -> None:
    rows = index.page(Filter(), "ana", 0, 100).rows
    assert len(rows) == len({row["trajectory_id"] for row in rows}) == index.total == 12
    kept = [row for row in rows if row["kept"] == "yes"]
    assert len(kept) == 6
    row = kept[0]
    assert (row["turns"], row["gazes"], row["outcome"], row["reasons"]) == (4, 2, "correct", [])
    assert row["providers"] == ["corpus:atlas", "gallery:atlas"]
    assert {tuple(row["reasons"]) for row in rows} == {(), ("verify.wrong",)}
    assert sorted(row["levels"] for row in kept) == [[], [], [], ["0"], ["1"], ["2"]]
    assert index.options["outcome"] == [Option("correct", 6), Option("wrong", 6)]
    assert index.options["level"] == [Option("0", 2), Option("1", 2), Option("2", 2), Option("", 6)]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"outcome": "wrong"}, 6),
        ({"reason": "verify.wrong", "kept": "yes"}, 0),
        ({"reason": "-"}, 6),
        ({"level": "1"}, 2),
        ({"level": "-"}, 6),
        ({"provider": "corpus:atlas"}, 12),
        ({"provider": "corpus"}, 0),
        ({"origin": "compose"}, 2),
        ({"q": "NUMBER 3"}, 2),
        ({"q": "uganda flag"}, 6),
        ({"q": "%"}, 0),
        ({"category": "' OR 1=1 --"}, 0),
        ({"review": "unreviewed"}, 12),
    ],
)
def test_filters_find(index: RunIndex, query: dict[str, str], count: int) -> None:
    assert len(found(index, **query)) == count
    assert index.page(Filter.of(query), "ana", 0, 1).total == count


@pytest.mark.parametrize("down", ["", "1"])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_and_neighbours_walk_the_whole_list_in_order(index: RunIndex, sort: str, down: str) -> None:
    wanted = Filter.of({"sort": sort, "down": down})
    whole = found(index, sort=sort, down=down)
    pages = [row["trajectory_id"] for start in range(0, 12, 5) for row in index.page(wanted, "ana", start, 5).rows]
    assert pages == whole
    walked: list[str] = []
    at: str | None = whole[0]
    while at is not None:
        beside = index.neighbours(at, wanted, "ana")
        assert (beside.before, beside.place, beside.total) == (walked[-1] if walked else None, len(walked) + 1, 12)
        walked.append(at)
        at = beside.after
    assert walked == whole


def test_a_seed_is_one_row_with_its_attempts(index: RunIndex) -> None:
    listing = index.seeds_page(Filter(), "ana", 0, 4)
    assert (listing.seeds, listing.total, [len(group) for group in listing.groups]) == (6, 12, [2, 2, 2, 2])
    rows = [row["trajectory_id"] for group in listing.groups for row in group]
    assert rows == found(index)[:8]
    assert listing.groups[0][0]["boxes"][:2] == ["[0.1,0.2,0.3,0.4]", "[0.6,0.2,0.8,0.4]"]
    kept = index.seeds_page(Filter.of({"kept": "yes", "sort": "question", "down": "1"}), "ana", 0, 2)
    assert [[row["question"][-2:] for row in group] for group in kept.groups] == [["5?"], ["4?"]]


def test_a_sample_is_the_same_for_everybody_and_stays_while_it_is_reviewed(index: RunIndex) -> None:
    drawn = found(index, sample="4", kept="yes", sort="random")
    assert len(drawn) == 4
    assert drawn == [name for name, _ in index.drawn(agreed=False)][:4]
    index.set_reviews(latest([review(drawn[0], "ana", Decision.ACCEPT)]))
    assert found(index, "ben", sample="4", kept="yes", sort="random") == drawn
    assert found(index, "ana", sample="4", kept="yes", sort="random", review="todo") == drawn[1:]
    assert found(index, "ben", kept="yes", review="second") == drawn[:1]
    wanted = Filter.of({"sample": "4", "kept": "yes", "review": "todo"})
    assert index.progress(wanted, "ana") == (4, 1, 1)
    assert index.progress(wanted, "ben") == (4, 0, 1)


def test_doubt_comes_first_and_says_why(tmp_path: Path) -> None:
    lake = small_run(tmp_path)
    names = {row["trajectory_id"]: row["seed_id"] for row in lake.read_rows("small", "curated")}
    sure, split, ungrounded, judged, *_ = names
    yes, no = (Vote(judge=judge, about="answer", says=says, reply="") for judge, says in (("a", "yes"), ("b", "no")))
    votes: dict[str, Any] = {"votes": (yes, no), "method": "judge"}
    changes: dict[str, dict[str, Any]] = {split: votes, ungrounded: {"grounded": False}, judged: {"method": "judge"}}
    right: dict[str, Any] = {"outcome": "correct", "method": "exact", "score": 1.0, "grounded": True}
    verdicts = [
        Verdict(trajectory_id=name, seed_id=seed, **(right | changes.get(name, {}))) for name, seed in names.items()
    ]
    for part in lake.parts("small", "verdicts"):
        part.unlink()
    write(lake, "small", "verdicts", verdicts)
    index = RunIndex(lake, "small")
    assert found(index, sort="doubt", kept="yes")[:3] == [split, ungrounded, judged]
    assert index.doubts(split) == [DOUBTS["panel"], DOUBTS["judge"]]
    assert index.doubts(ungrounded) == [DOUBTS["grounding"]]
    assert index.doubts(sure) == []
    assert {name for name, _ in index.drawn(agreed=True)} == set(names) - {split, ungrounded, judged}
    index.close()


def test_a_value_that_no_trajectory_has_is_refused(index: RunIndex) -> None:
    index.check(Filter.of({"outcome": "wrong", "level": "-"}))
    with pytest.raises(FilterError, match="no trajectory of this run has the outcome 'wrnog'; known: correct, wrong"):
        index.check(Filter.of({"outcome": "wrnog"}))


def test_an_id_or_its_beginning_finds_its_trajectory(index: RunIndex) -> None:
    row = index.page(Filter(), "ana", 4, 1).rows[0]
    assert found(index, q=row["trajectory_id"][:20]) == [row["trajectory_id"]]
    assert len(found(index, q=row["seed_id"])) == 2


def test_what_left_the_list_still_has_neighbours(index: RunIndex) -> None:
    whole = found(index)
    index.set_reviews(latest([review(whole[3], "ana", Decision.ACCEPT)]))
    beside = index.neighbours(whole[3], Filter(review="todo"), "ana")
    assert beside == (whole[2], whole[4], 0, 11)
    assert index.neighbours("no such id", Filter(), "ana") == (None, None, 0, 0)


def test_reviews_are_in_the_list_by_state_and_reviewer(index: RunIndex) -> None:
    a, b, c, *_ = whole = found(index)
    accept, reject = Decision.ACCEPT, Decision.REJECT
    known = [review(a, "ana", accept), review(a, "ben", reject), review(b, "ben", accept), review(c, "ana", None)]
    index.set_reviews(latest(known))
    assert [found(index, review=state) for state in ("disputed", "accepted", "noted", "rejected")] == [
        [a],
        [b],
        [c],
        [],
    ]
    assert found(index, "ana", review="todo") == whole[1:]
    assert found(index, "ben", review="todo") == whole[2:]
    index.set_reviews(latest([review(b, "ben", reject)]), b)
    assert found(index, review="rejected") == [b]
    index.set_reviews({})
    assert found(index, review="unreviewed") == whole


def test_the_signature_changes_with_a_part(tmp_path: Path) -> None:
    lake = small_run(tmp_path, seeds=1)
    before = signature(lake, "small")
    assert signature(lake, "small") == before
    part = lake.parts("small", "verdicts")[0]
    part.rename(part.with_name("part-step-00001.parquet"))
    assert signature(lake, "small") != before


def test_a_run_that_has_only_begun_is_an_empty_list(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    index = RunIndex(lake, "none")
    assert index.page(Filter(), "ana", 0, 10) == ([], 0)
    assert index.options["outcome"] == []
    index.close()
