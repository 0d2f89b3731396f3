"""Reviews outlive whatever happens to the process that keeps them, and several processes may keep some."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.lake.review_files import AuditBook, ReviewBook, read_audits, read_reviews, reviewer_name
from gog.pipelines.views.database import open_lake
from gog.schemas import Box, CorrectedBox, Decision, Outcome, Review

ACCEPT, REJECT = Decision.ACCEPT, Decision.REJECT


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def book(lake: Lake) -> ReviewBook:
    return ReviewBook(lake, "run")


def add(kept: ReviewBook, trajectory: str = "t1", reviewer: str = "ana", comment: str = "", **more: Decision) -> Review:
    decision = more.get("decision")
    boxes = [CorrectedBox(turn=0, box=Box(0, 0, 0.5, 0.5))]
    return kept.add(trajectory, "s", reviewer, decision=decision, boxes=boxes, comment=comment)


def journal(lake: Lake) -> Path:
    return lake.table_folder("run", "reviews") / "journal.jsonl"


def test_a_review_is_there_for_the_next_process_before_and_after_compaction(lake: Lake) -> None:
    kept = book(lake)
    made = [add(kept, decision=ACCEPT), add(kept, comment="later\n\u2028<b>"), add(kept, "t2", "ben", decision=REJECT)]
    assert [review.number for review in made] == [1, 2, 1]
    for _ in range(2):
        other = book(lake)
        assert other.refresh()
        assert other.latest == kept.latest == {"t1": {"ana": made[1]}, "t2": {"ben": made[2]}}
        kept.compact()
    assert journal(lake).read_bytes() == b""
    assert sum(1 for _ in lake.read_rows("run", "reviews")) == 3, "earlier reviews stay, too"
    with open_lake(lake.run_folder("run")) as views:
        assert views.execute("SELECT count(*), max(number) FROM reviews").fetchall() == [(3, 2)]


def test_audits_are_kept_beside_reviews_in_the_same_way(lake: Lake) -> None:
    add(book(lake), decision=ACCEPT)
    audits = AuditBook(lake, "run")
    first = audits.add("t1", "s", " ana\n", Outcome.WRONG)
    assert read_audits(lake, "run") == {"t1": {"ana": first}}
    second = AuditBook(lake, "run").add("t1", "s", "ana", Outcome.CORRECT)
    assert (first.number, second.number) == (1, 2)
    assert read_audits(lake, "run") == {"t1": {"ana": second}}
    assert [row["outcome"] for row in lake.read_rows("run", "audits")] == ["wrong", "correct"], "earlier ones stay"
    assert list(read_reviews(lake, "run")["t1"]) == ["ana"]


def test_a_change_of_another_process_is_seen_once(lake: Lake) -> None:
    mine, theirs = book(lake), book(lake)
    add(mine)
    assert theirs.refresh()
    assert not theirs.refresh()
    again = add(theirs, decision=REJECT)
    assert again.number == 2
    mine.refresh()
    assert mine.latest["t1"]["ana"] == again
    theirs.compact()
    mine.refresh()
    assert mine.latest == theirs.latest


def test_a_torn_line_costs_itself_alone(lake: Lake) -> None:
    kept = book(lake)
    first = add(kept)
    with journal(lake).open("ab") as file:
        file.write(b'{"review_id": "review-tor')
    second = add(book(lake), "t2")
    fresh = book(lake)
    fresh.refresh()
    assert fresh.latest == {"t1": {"ana": first}, "t2": {"ana": second}}
    assert fresh.compact() == 2
    assert journal(lake).read_bytes() == b'{"review_id": "review-tor\n', "what nobody can read is kept"
    assert read_reviews(lake, "run") == fresh.latest


@pytest.mark.parametrize("line", [b"[]", b"7", b"null", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"number": 1}'])
def test_a_hostile_journal_is_no_review(lake: Lake, line: bytes) -> None:
    kept = book(lake)
    made = add(kept)
    with journal(lake).open("ab") as file:
        file.write(line + b"\n")
    assert read_reviews(lake, "run") == {"t1": {"ana": made}}


WRITER = """
import sys
from pathlib import Path
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import ReviewBook
book = ReviewBook(Lake(Path(sys.argv[1])), "run")
number = 0
while True:
    review = book.add(f"t{number}", "s", sys.argv[2], decision=None, boxes=[], comment="x" * 500)
    print(review.review_id, flush=True)
    number += 1
    if number % 5 == 0:
        book.compact()
"""


def test_what_was_acknowledged_outlives_a_kill(lake: Lake) -> None:
    """Two writers that also compact, killed in the midst of it."""
    command = [sys.executable, "-c", WRITER, str(lake.root)]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in ("ana", "ben")]
    told: list[str] = []
    for writer in writers:
        assert writer.stdout is not None
        told += [writer.stdout.readline().strip() for _ in range(23)]
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        told += (writer.communicate()[0] or "").split()[:-1]  # the last line may be torn
    found = {r.review_id for reviews in read_reviews(lake, "run").values() for r in reviews.values()}
    assert len(told) >= 46
    assert set(told) <= found


def test_threads_with_books_of_their_own_lose_nothing(lake: Lake) -> None:
    def work(name: str) -> None:
        kept = book(lake)
        for number in range(8):
            add(kept, f"t{number}", name)
            kept.compact()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["a", "b", "c", "d"]))
    found = read_reviews(lake, "run")
    assert {name: sorted(reviews) for name, reviews in found.items()} == {f"t{n}": [*"abcd"] for n in range(8)}


def test_what_is_too_large_or_nameless_is_refused(lake: Lake) -> None:
    kept = book(lake)
    with pytest.raises(ValueError, match="at most"):
        add(kept, comment="x" * 4001)
    with pytest.raises(ValueError, match="1 to 60"):
        add(kept, reviewer=" \u200b\x00 ")
    assert not journal(lake).exists()
    assert reviewer_name(" Ana \n Bee\u202e ") == "Ana Bee"


def test_a_lake_that_cannot_be_written_says_so(lake: Lake) -> None:
    folder = lake.table_folder("run", "reviews")
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    with pytest.raises(LakeError, match=r"cannot write .*reviews"):
        add(book(lake))


def test_a_line_of_an_older_version_counts(lake: Lake) -> None:
    add(book(lake), comment="said before", decision=ACCEPT)
    row = json.loads(journal(lake).read_text("utf-8"))
    for column in ("why", "answer", "bulk"):
        del row[column]
    journal(lake).write_text(json.dumps(row) + "\n", "utf-8")
    read = read_reviews(lake, "run")["t1"]["ana"]
    assert (read.comment, read.why, read.answer, read.bulk) == ("said before", None, None, False)


def test_in_bulk_is_one_write_of_what_nobody_decided_and_can_be_taken_back(lake: Lake) -> None:
    kept = book(lake)
    add(kept, "t1", "ben", decision=REJECT)
    add(kept, "t2", "ana", comment="looks right")
    assert kept.accept_all({f"t{n}": f"s{n}" for n in range(1, 1001)}, "ana") == 999
    reviews = read_reviews(lake, "run")
    assert set(reviews["t1"]) == {"ben"}
    review = reviews["t2"]["ana"]
    assert (review.decision, review.bulk, review.comment, review.number) == (ACCEPT, True, "looks right", 2)
    assert kept.accept_all({"t3": "s3"}, "ana") == 0
    add(kept, "t3", "ana", decision=ACCEPT)
    assert kept.take_back_all("ana") == 998
    reviews = read_reviews(lake, "run")
    assert (reviews["t2"]["ana"].decision, reviews["t2"]["ana"].comment) == (None, "looks right")
    assert reviews["t3"]["ana"].decision is ACCEPT
