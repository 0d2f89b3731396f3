"""The queue for review, over real sockets: what comes next, what is counted, what an export makes of it."""

import re
from pathlib import Path

import pytest
from lakes import small_run
from viewing import View, ids, viewed, with_manifest

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake"), "small")


def next_of(view: View, query: str = "") -> str:
    """The id to which a queue leads."""
    reply = view.get(f"/runs/small/queue{query}")
    assert reply.status == 302, reply.text
    return reply.headers["location"].partition("/t/")[2].partition("?")[0]


def decide(view: View, name: str, query: str = "", **body: object) -> str:
    reply = view.post(f"/runs/small/t/{name}/review{query}", body)
    assert reply.status == 200, reply.text
    return " ".join(re.sub("<[^>]+>", " ", reply.text).split())


QUERY = "?kept=yes&review=todo&sort=doubt"


def test_a_queue_gives_what_was_kept_one_after_the_other_and_ends(lake: Lake) -> None:
    kept = {row["trajectory_id"] for row in lake.read_rows("small", "curated")}
    with viewed(lake.root) as view:
        seen = []
        while view.get("/runs/small/queue").status == 302:
            name = next_of(view)
            seen.append(name)
            said = decide(view, name, QUERY, decision="accept")
            assert f"{len(seen)} of {len(kept)} by you" in said
        assert set(seen) == kept
        assert len(seen) == len(kept)
        assert "Nothing left to decide" in view.get("/runs/small/queue").text
    with viewed(lake.root, "ben") as view:
        assert next_of(view, QUERY) in kept, "another person begins anew"
        assert next_of(view, "?review=second&kept=yes") in kept
        assert "0 of 6 by you, 6 by all" in decide(view, next_of(view), QUERY, comment="hm")


def test_a_page_of_the_queue_has_all_that_a_decision_needs(lake: Lake) -> None:
    with viewed(lake.root) as view:
        name = next_of(view)
        page = view.get(f"/runs/small/t/{name}{QUERY}").text
        said = " ".join(re.sub("<[^>]+>", " ", page).split())
    for words in ("flag is number", "Kenya · Republic of Kenya", "settled by exact", "6 to decide"):
        assert words in said
    assert "attempts at this question disagree" in said


def test_the_reason_of_a_rejection_is_kept_counted_and_exported(lake: Lake) -> None:
    with viewed(lake.root) as view:
        name = next_of(view)
        decide(view, name, decision="reject", why="leak")
        assert view.post(f"/runs/small/t/{name}/review", {"decision": "accept", "why": "leak"}).status == 422
        assert view.post(f"/runs/small/t/{name}/review", {"decision": "reject", "why": "mood"}).status == 422
        page = re.sub(r"\s+", " ", view.get("/runs/small/reviews").text)
        assert "<td>leak</td><td>1</td>" in page
        decide(view, name, comment="still")
    review = read_reviews(lake, "small")[name]["ana"]
    assert (review.decision, review.why, review.comment) == ("reject", "leak", "still")


def test_a_corrected_answer_says_what_becomes_of_it(lake: Lake) -> None:
    kept = {row["trajectory_id"] for row in lake.read_rows("small", "curated")}
    with viewed(lake.root) as view:
        name = next_of(view)
        said = decide(view, name, answer=" Republic of\nKenya ")
        assert "The answer should be Republic of Kenya" in said
        assert "In an SFT export the last turn gives this answer" in said
        left = next(n for n in ids(view.get("/runs/small").text) if n not in kept)
        assert "no export has it, whatever is said here" in decide(view, left, answer="Kenya")
        for answer in ("", " \n", "x" * 301, "a</answer>b", 7, "\ud800"):
            assert view.post(f"/runs/small/t/{name}/review", {"answer": answer}).status == 422, answer
        assert "The answer should be Republic" not in decide(view, name, answer=None)


def test_unknown_filters_are_refused_in_one_line(lake: Lake) -> None:
    with viewed(lake.root) as view:
        name = ids(view.get("/runs/small").text)[0]
        for path in ("/runs/small", f"/runs/small/t/{name}", "/runs/small/queue"):
            for query in ("?outcome=wrnog", "?colour=red", "?review=accept", "?sort=best", "?sample=-1"):
                reply = view.get(path + query)
                assert reply.status == 400, path + query
        assert "No trajectory of this run has the outcome &#39;wrnog&#39;" in view.get("/runs/small?outcome=wrnog").text
        assert view.post(f"/runs/small/t/{name}/review?colour=red", {"comment": "x"}).status == 400


def test_bulk_needs_its_sample_and_can_be_taken_back(lake: Lake) -> None:
    with viewed(lake.root) as view:
        refused = view.post("/runs/small/bulk", {"most": 40})
        assert (refused.status, refused.text) == (409, "not accepted: decide on 6 more of the sample first\n")
        assert view.post("/runs/small/bulk", {"most": 0}).status == 422
        query = "?kept=yes&agreed=yes&review=todo&sort=random"
        page = view.get("/runs/small/bulk?most=45").text
        sample = int(re.search(r"The sample: <strong>(\d)</strong>", page)[1])  # type: ignore[index]
        assert sample == 5
        for _ in range(sample):
            decide(view, next_of(view, query), query, decision="accept")
        assert view.post("/runs/small/bulk", {"most": 45}).text == '{"changed": 1}'
        assert "0 of them decided" not in view.get("/runs/small/bulk?most=45").text
        assert view.get(f"/runs/small/queue{query}").status == 200, "nothing is left"
        assert sum(by["ana"].bulk for by in read_reviews(lake, "small").values()) == 1
        assert view.post("/runs/small/bulk", {"take_back": True}).text == '{"changed": 1}'
        assert next_of(view, query)
