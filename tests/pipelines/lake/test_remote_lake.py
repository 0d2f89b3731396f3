"""A lake on an object store holds what one in a folder does, to the byte."""

from pathlib import Path

import pytest
from lakes import small_run, source_of
from object_stores import S3

from gog.pipelines.export.request import ExportRequest
from gog.pipelines.export.write import export_rl, export_sft
from gog.pipelines.lake.lake import Lake, LakeError, Manifest
from gog.pipelines.lake.review_files import ReviewBook, read_reviews
from gog.pipelines.show.report.page import write_report
from gog.pipelines.show.web.served_lake import ServedLake
from gog.pipelines.views.database import confine, open_lake
from gog.pipelines.views.status import pace_of, status_of
from gog.schemas import TABLES, Decision, Trajectory
from gog.transforms.place import files_below, name_below, place, write_whole


def made(root: Path) -> Lake:
    lake = small_run(root)
    lake.write_manifest(Manifest(run="small", fingerprint="x", state="done"))
    return lake


def contents(lake: Lake) -> dict[str, bytes]:
    return {name_below(path, lake.root): path.read_bytes() for path in files_below(lake.root)}


@pytest.fixture
def there(remote: str) -> Lake:
    return made(place(remote))


def test_it_holds_the_same_bytes(there: Lake, tmp_path: Path) -> None:
    here = made(tmp_path / "lake")
    for lake in (here, there):
        for write in (export_sft, export_rl):
            write(source_of(lake), ExportRequest())
            write(source_of(lake), ExportRequest())  # takes the place of the first
    assert contents(there) == contents(here)
    assert there.runs() == here.runs() == ["small"]


def test_it_can_be_looked_at(there: Lake) -> None:
    folder = there.run_folder("small")
    with open_lake(folder) as views:
        confine(views, folder)
        assert views.execute("SELECT count(*) FROM trajectories").fetchone() == (12,)
    assert status_of(there, "small").state == "done"
    assert b"</html>" in write_report(there, "small").read_bytes()
    served = ServedLake(there)
    try:
        trajectory = next(there.read_table("small", "trajectories", Trajectory))
        records = served.records("small", trajectory.trajectory_id)
        assert records.trajectory == trajectory
        assert records.seed is not None
        data, kind = served.picture(records.seed.image_sha256)
        assert (data, kind[:6]) == (there.images.read(records.seed.image_sha256), "image/")
    finally:
        served.close()


def test_how_far_it_is_takes_few_requests(there: Lake, s3: S3) -> None:
    before = s3.asked()
    pace_of(there, "small")
    asked = s3.asked() - before
    assert asked["LIST"] <= len(TABLES), asked
    assert asked.total() <= len(TABLES) + 5, asked


def test_reviews_of_two_people_are_kept(there: Lake) -> None:
    trajectory = next(there.read_table("small", "trajectories", Trajectory))
    names = trajectory.trajectory_id, trajectory.seed_id
    books = ReviewBook(there, "small"), ReviewBook(Lake(there.root), "small")
    for who, book in zip(("ada", "bob"), books, strict=True):
        book.add(*names, who, decision=Decision.ACCEPT, boxes=[], comment="")
    assert books[0].compact() == 2
    books[1].add(*names, "eve", decision=Decision.REJECT, boxes=[], comment="no")
    assert set(read_reviews(there, "small")[names[0]]) == {"ada", "bob", "eve"}
    assert len(there.parts("small", "reviews")) == 1


def test_a_damaged_table_is_told(there: Lake) -> None:
    part = there.parts("small", "seeds")[0]
    write_whole(part, b"nothing")
    with pytest.raises(LakeError, match="damaged"):
        list(there.read_rows("small", "seeds"))
