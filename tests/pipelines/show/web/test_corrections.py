"""What the page says that a correction changes, and what an export then has."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lakes import small_run, source_of
from viewing import viewed, with_manifest

from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import export_sft
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews
from gog.transforms.export.rows import ExportSettings, Reviewed

BOX = "In an SFT export the turn of this box is not trained."
ANSWER = "In an SFT export the last turn gives this answer."
NOTHING = "no export has it, whatever is said here"
MINE = [0.1, 0.1, 0.35, 0.45]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return with_manifest(small_run(tmp_path / "lake"), "small")


def exported(lake: Lake, reviewed: Reviewed) -> dict[str, dict[str, Any]]:
    """The rows of an SFT export by id, their messages as they are."""
    run = source_of(lake)
    run = SourceRun(run.folder, run.images, run.episode, run.fingerprint, read_reviews(lake, "small"))
    done = export_sft(run, ExportRequest(ExportSettings(reviewed=reviewed), replace=True))
    files = sorted(done.folder.glob("data/*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row | {"messages": json.loads(row["messages"])} for row in rows}


def turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for message in row["messages"] if message["role"] == "assistant"]


def test_it_says_before_it_is_saved_what_a_correction_changes_and_the_export_has_it(lake: Lake) -> None:
    kept = next(row["trajectory_id"] for row in lake.read_rows("small", "curated"))
    before = exported(lake, Reviewed.PREFER)
    learned = [turn.get("train", True) for turn in turns(before[kept])]
    assert learned[1], "the second gaze is trained"
    with viewed(lake.root) as view:
        page = re.sub(r"\s+", " ", view.get(f"/runs/small/t/{kept}").text)
        edit = page.partition('<form id="edit"')[2].partition("</form>")[0]
        answering = page.partition('<form class="answering"')[2].partition("</form>")[0]
        assert BOX in edit
        assert ANSWER in answering
        view.post(f"/runs/small/t/{kept}/review", {"boxes": {"1": MINE}, "answer": "Republic of Kenya"})

    after = exported(lake, Reviewed.PREFER)
    assert [turn.get("train", True) for turn in turns(after[kept])] == [learned[0], False, *learned[2:]]
    assert after[kept]["answer"] == "Republic of Kenya"
    last, was = (turns(rows[kept])[-1]["content"] for rows in (after, before))
    assert last == was.replace("<answer>Kenya</answer>", "<answer>Republic of Kenya</answer>") != was
    assert json.dumps(turns(after[kept])[1]["content"]) == json.dumps(turns(before[kept])[1]["content"])
    assert {name: row for name, row in after.items() if name != kept} == {n: r for n, r in before.items() if n != kept}
    assert exported(lake, Reviewed.IGNORE) == before, "as the page says of `--reviewed ignore`"


def test_it_says_where_a_correction_changes_nothing(lake: Lake) -> None:
    kept = {row["trajectory_id"] for row in lake.read_rows("small", "curated")}
    left = next(
        row["trajectory_id"] for row in lake.read_rows("small", "trajectories") if row["trajectory_id"] not in kept
    )
    before = exported(lake, Reviewed.PREFER)
    with viewed(lake.root) as view:
        page = view.get(f"/runs/small/t/{left}").text
        assert page.count(NOTHING) == 2
        assert BOX not in page
        assert ANSWER not in page
        said = view.post(f"/runs/small/t/{left}/review", {"boxes": {"1": MINE}, "answer": "Kenya"})
        assert said.status == 200
    assert exported(lake, Reviewed.PREFER) == before
