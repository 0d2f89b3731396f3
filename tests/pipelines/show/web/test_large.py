"""100,000 trajectories: the queue, and the page of the run."""

import statistics
import time
from pathlib import Path

import duckdb
import pytest
from lakes import small_run

from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.reviews import latest
from gog.pipelines.show.web.filters import QUEUE, Filter
from gog.pipelines.show.web.index import RunIndex
from gog.pipelines.show.web.run_facts import facts_of
from gog.schemas import Decision, Review

COPIES = 8334
IDS = {
    "trajectories": ("trajectory_id", "seed_id"),
    "seeds": ("seed_id",),
    "verdicts": ("trajectory_id", "seed_id"),
    "curated": ("trajectory_id", "seed_id"),
}
OF_THE_RUN = {
    "evidence": ("evidence_id",),
    "rejects": ("reject_id", "id"),
    "complexity": ("seed_id",),
    "events": ("key",),
}
"""Further tables of which the page of a run adds something up."""
MOST_S = 0.15
MOST_OF_A_PAGE_S = 1.0


def enlarged(root: Path, tables: dict[str, tuple[str, ...]] = IDS) -> Lake:
    """Each row of a small run so many times, under other ids."""
    lake = small_run(root)
    for table, columns in tables.items():
        (part,) = lake.parts("small", table)
        large = part.with_name("large.parquet")
        ids = ", ".join(f"{column} || '-' || copy AS {column}" for column in columns)
        rows = f"SELECT * EXCLUDE (copy) REPLACE ({ids}) FROM read_parquet('{part}'), range({COPIES}) copies(copy)"
        duckdb.sql(f"COPY ({rows}) TO '{large}'")
        large.replace(part)
    return lake


@pytest.mark.slow
def test_the_next_of_a_hundred_thousand_comes_at_once(tmp_path: Path) -> None:
    index = RunIndex(enlarged(tmp_path), "small")
    assert index.total == 12 * COPIES
    wanted = Filter.of(QUEUE)
    name = index.first(wanted, "ana")
    known, took = dict[str, dict[str, Review]](), []
    for number in range(20):
        assert name is not None
        values = {"review_id": "", "seed_id": "", "reviewer": "ana", "number": 1, "made": float(number)}
        review = Review(trajectory_id=name, decision=Decision.ACCEPT, **values)
        known = {**known, **latest([review])}
        began = time.process_time()
        index.set_reviews(known, name)
        assert index.progress(wanted, "ana") == (6 * COPIES, number + 1, number + 1)
        beside = index.neighbours(name, wanted, "ana")
        took.append(time.process_time() - began)
        assert beside.total == 6 * COPIES - number - 1
        name = beside.after
    index.close()
    print(f"the next one takes {1000 * statistics.median(took):.0f} ms")
    assert statistics.median(took) < MOST_S


@pytest.mark.slow
def test_what_came_of_a_hundred_thousand_is_added_up_within_a_second(tmp_path: Path) -> None:
    lake = enlarged(tmp_path, IDS | OF_THE_RUN)
    took = []
    for _ in range(3):
        began = time.process_time()
        facts = facts_of(lake, "small")
        took.append(time.process_time() - began)
    assert facts.all
    assert (facts.all.attempts, facts.all.kept) == (12 * COPIES, 6 * COPIES)
    print(f"the facts of a run take {statistics.median(took):.2f} s of processor time")
    assert statistics.median(took) < MOST_OF_A_PAGE_S
