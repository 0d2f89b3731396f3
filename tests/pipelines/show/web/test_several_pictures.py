"""Pages of questions about several pictures: each is shown, with the boxes that lie on it and no others."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lakes import Made
from several_pictures import SEVERAL, SIZES, run_of_several
from viewing import View, viewed, with_manifest

from gog.pipelines.export.request import ExportRequest, SourceRun
from gog.pipelines.export.write import export_sft
from gog.pipelines.lake.lake import Lake
from gog.pipelines.lake.review_files import read_reviews
from gog.pipelines.show.web.text import further, small_pictures
from gog.transforms.export.rows import ExportSettings, Reviewed

MINE = [0.1, 0.1, 0.35, 0.45]


@pytest.fixture
def several(tmp_path: Path) -> tuple[Lake, list[Made]]:
    """Trajectories of questions about one, two and three pictures."""
    lake, made = run_of_several(tmp_path / "lake")
    return with_manifest(lake, "several"), made


def page_of(view: View, path: str) -> str:
    reply = view.get(path)
    assert reply.status == 200
    return re.sub(r"\s+", " ", reply.text)


def figures(page: str) -> list[str]:
    return re.findall(r"<figure.*?</figure>", page)


@pytest.mark.parametrize("pictures", [2, 3])
@pytest.mark.parametrize("path", ["/runs/several/t/{0}", "/compare?a=several/{0}&b=several/{0}"])
def test_each_picture_is_shown_with_the_boxes_that_lie_on_it(
    several: tuple[Lake, list[Made]], pictures: int, path: str
) -> None:
    lake, made = several
    trajectory = made[pictures - 1].trajectory
    with viewed(lake.root) as view:
        page = page_of(view, path.format(trajectory.trajectory_id))
    shown = figures(page)
    assert len(shown) == pictures * path.count("{0}")
    for place, figure in enumerate(shown):
        number = place % pictures
        width, height = SIZES[number]
        assert f'src="/images/{trajectory.images[number].sha256}"' in figure
        assert f'alt="Image {number}, {number + 1} of {pictures} that the question is about"' in figure
        assert f'viewBox="0 0 {width} {height}"' in figure
        assert 'aria-label="1 boxes on image' in figure
        assert re.findall(r"<title>(.*?)</title>", figure) == [
            f"proposed: region on {number} (segments:1, 0.50)",
            f"{number + 1}: flag {number}",
        ]
        assert f"<figcaption>Image {number}</figcaption>" in figure
    assert "Glance at image 1" in page
    assert all(f"Gaze at image {number}" in page for number in range(pictures))


def test_a_question_about_one_picture_is_shown_as_ever(several: tuple[Lake, list[Made]]) -> None:
    lake, made = several
    with viewed(lake.root) as view:
        page = page_of(view, f"/runs/several/t/{made[0].trajectory.trajectory_id}")
        seed = page_of(view, f"/runs/several/seeds/{made[0].trajectory.seed_id}")
    for shown in (page, seed):
        (figure,) = figures(shown)
        assert 'alt="The image that the question is about"' in figure
        assert "figcaption" not in figure
        assert "Gaze at image" not in shown
        assert "1 of 1" not in figure
    assert 'aria-label="1 boxes on the image"' in page


def test_lists_and_seeds_have_all_pictures(several: tuple[Lake, list[Made]]) -> None:
    lake, made = several
    with viewed(lake.root) as view:
        for one in made:
            seed = page_of(view, f"/runs/several/seeds/{one.trajectory.seed_id}")
            images = [image for image in one.trajectory.images if image.origin is None][: len(figures(seed))]
            assert [re.findall(r"/images/(\w+)", figure) for figure in figures(seed)] == [[i.sha256] for i in images]
        rows = re.findall(r'<li class="seed">.*?</li>', page_of(view, "/runs/several"))
        questions = page_of(view, "/runs/several/questions/costliest")
        audit = page_of(view, "/runs/several/audit")
    by_count = {row.count("<svg"): row for row in rows}
    assert sorted(by_count) == [1, 2, 3]
    for count, row in by_count.items():
        for number, small in enumerate(re.findall(r"<svg.*?</svg>", row)):
            assert f"/thumbs/{made[count - 1].trajectory.images[number].sha256}" in small
            assert re.findall(r'<rect class="(g\d)"', small) == [f"g{number}"]
            words = f"Image {number}, {number + 1} of {count}" if count > 1 else "The picture"
            assert f'aria-label="{words}, with the gazes of attempt 0"' in small
    assert questions.count("/thumbs/") == 6
    assert len(figures(audit)) in (1, 2, 3)


def test_a_corrected_box_is_kept_with_its_picture_and_its_turn_is_not_trained(
    several: tuple[Lake, list[Made]],
) -> None:
    lake, made = several
    name = made[1].trajectory.trajectory_id
    with viewed(lake.root, "ana") as view:
        reply = view.post(f"/runs/several/t/{name}/review", {"boxes": {"1": MINE, "2": MINE}})
        assert "Box of turn 2 corrected" in reply.text
        assert "Box of turn 3 on image 1 corrected" in reply.text
        assert view.post(f"/runs/several/t/{name}/review", {"boxes": {"0": MINE}}).status == 422, "a glance has none"
    reviews = read_reviews(lake, "several")
    assert [(box.turn, box.on_image) for box in reviews[name]["ana"].boxes] == [(1, 0), (2, 1)]
    run = SourceRun(lake.run_folder("several"), lake.images, SEVERAL, "print-1", reviews)
    done = export_sft(run, ExportRequest(ExportSettings(reviewed=Reviewed.PREFER)))
    rows = [row for path in sorted(done.folder.glob("data/*.parquet")) for row in pq.read_table(path).to_pylist()]
    (row,) = [row for row in rows if row["id"] == name]
    trained = [m.get("train", True) for m in json.loads(row["messages"]) if m["role"] == "assistant"]
    assert trained == [True, False, False, True]


def test_what_stands_in_a_column_of_further_pictures_is_not_trusted() -> None:
    for text in ("", "[", "{}", "[1]", '[{"sha256": "<script>", "width": 1, "height": 1}]', "[" * 100_000, None):
        assert further(text) == ()
    image = {"sha256": "a" * 64, "width": 20, "height": 10, "phash": "0" * 16}
    seed = {"image_sha256": "b" * 64, "width": 10, "height": 20, "further_images": json.dumps([image])}
    boxes = [None, "[0, 0, 1, 1]", "[0, 0, 7]", "[0, 0, 0.5, 0.5]", "[0.5, 0.5, 1, 1]", "no"]
    pictures = small_pictures(seed, {"boxes": boxes, "on_images": [0, 1, 0, 0, 9, 1]})
    assert [picture.boxes for picture in pictures] == [[(1, (0, 0, 5, 10))], [(0, (0, 0, 20, 10))]]
    assert small_pictures(seed | {"image_sha256": None}, {"boxes": boxes, "on_images": []}) == []
