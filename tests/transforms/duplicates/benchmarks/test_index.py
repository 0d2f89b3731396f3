import json
from pathlib import Path

import numpy as np
import pytest
from fakes import MemoryImages
from lakes import make_seed
from PIL import Image, ImageOps
from textures import jpeg, texture

from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex, BenchmarkRow
from gog.transforms.duplicates.benchmarks.settings import OverlapSettings
from gog.transforms.services.search.index_folder import IndexFolderError

NAMED = "How many goals had the team in the blue kit scored after the own goal by Ramy Bensebaini in Barcelona?"
TEMPLATE = "Who is the person in this picture?"
ROWS = [
    BenchmarkRow("livevqa", "a", TEMPLATE, ("Marie Curie",), "Marie Curie", jpeg(texture(1))),
    BenchmarkRow("livevqa", "b", "What is on the left?", ("a tree", "5", "yes"), "", jpeg(texture(1))),
    BenchmarkRow("fvqa", "c", NAMED, ("12",), "", jpeg(texture(2))),
    BenchmarkRow("dynvqa", "d", "When was the bridge between Buda and Pest first opened?", ("1849",), "", None),
    BenchmarkRow("mmsearch", "e", "What does it say?", ("nothing",), "", b"no image"),
]


@pytest.fixture(scope="module", params=["built", "opened"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkIndex:
    built = BenchmarkIndex.build(iter(ROWS))
    if request.param == "built":
        return built
    folder = tmp_path_factory.mktemp("lake") / "benchmarks"
    built.save(folder)
    return BenchmarkIndex.open(folder)


def test_rows_keep_no_images_and_shared_ones_are_indexed_once(index: BenchmarkIndex) -> None:
    assert [row._replace(image=None) for row in ROWS] == list(index.rows)
    assert len(index.images) == 2
    assert index.coverage() == [
        ("livevqa", 2, 2, 0, 0), ("fvqa", 1, 1, 1, 0), ("dynvqa", 1, 0, 1, 0), ("mmsearch", 1, 0, 0, 1)
    ]  # fmt: skip


def test_an_image_is_an_overlap_whatever_is_asked_of_it(index: BenchmarkIndex) -> None:
    overlap = index.check("A question of one's own?", [ImageOps.mirror(texture(1))])
    assert overlap is not None
    assert overlap.row.item_id == "a"
    assert overlap.detail.startswith("livevqa a (and 1 more row): image: the same picture, mirrored, agreement 1.00")


def test_of_rows_with_the_image_the_one_with_the_question_is_named(index: BenchmarkIndex) -> None:
    overlap = index.check("Please: what is on the left?", [texture(1)])
    assert overlap is not None
    assert overlap.row.item_id == "b"
    assert "question: it shares 'what is on left'" in overlap.detail


def test_a_template_is_no_overlap_and_a_named_question_is(index: BenchmarkIndex) -> None:
    assert index.check(TEMPLATE, [texture(7)]) is None
    assert index.check(TEMPLATE, []) is None
    for images in ([texture(7)], []):
        overlap = index.check(NAMED.lower(), images)
        assert overlap is not None
        assert overlap.row.item_id == "c"


def test_a_poor_copy_is_an_overlap_only_with_its_question() -> None:
    poor = Image.blend(texture(1), texture(7).convert("L").convert("RGB"), 0.35)
    strict = OverlapSettings(image=0.95, image_with_question=0.4)
    index = BenchmarkIndex.build(ROWS, strict)
    assert index.check("A question of one's own?", [poor]) is None
    overlap = index.check(TEMPLATE, [poor])
    assert overlap is not None
    assert overlap.row.item_id == "a"


def test_a_row_without_image_is_found_by_its_question(index: BenchmarkIndex) -> None:
    overlap = index.check("When was the bridge between Buda and Pest first opened?", [texture(9)])
    assert overlap is not None
    assert overlap.row.item_id == "d"


def test_pages_and_crops(index: BenchmarkIndex) -> None:
    crop = index.check_image(texture(2).crop((20, 20, 310, 235)))
    assert crop is not None
    assert crop.row.item_id == "c"
    assert index.check_image(texture(8)) is None
    page = index.check_text(f"As a test has it: {NAMED} Five.")
    assert page is not None
    assert page.row.item_id == "c"
    assert index.check_text(f"As a test has it: {TEMPLATE} Me.") is None


def test_entities_and_answers_are_warnings(index: BenchmarkIndex) -> None:
    images = MemoryImages()
    assert index.warnings(make_seed(1, images, entity="marie curie", answers=("Nobody",))) == {"entity": "livevqa a"}
    assert index.warnings(make_seed(1, images, entity=None, answers=("x", "A tree."))) == {"answer": "livevqa b"}
    assert index.warnings(make_seed(1, images, entity="Kenya", answers=("5", "yes", "12"))) == {"answer": "livevqa b"}
    assert index.warnings(make_seed(1, images, entity="Kenya", answers=("5", "no"))) == {}


def test_nothing_to_compare_with() -> None:
    index = BenchmarkIndex.build([])
    assert index.check(NAMED, [texture(1)]) is None
    assert index.check_text(NAMED) is None


def test_an_index_is_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        BenchmarkIndex.build(ROWS).save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["grey.npy", "index.json", "rows.jsonl", "tint.npy"]
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def _row(folder: Path, **changes: object) -> None:
    lines = (folder / "rows.jsonl").read_text().splitlines()
    values = (
        dict(zip(["benchmark", "id", "question", "answers", "entity", "place"], json.loads(lines[0]), strict=True))
        | changes
    )
    (folder / "rows.jsonl").write_text("\n".join([json.dumps(list(values.values())), *lines[1:]]) + "\n")


@pytest.mark.parametrize("damage", ["cut", "objects", "shape", "row", "place", "format", "gone"])
def test_a_damaged_index_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "index"
    BenchmarkIndex.build(ROWS).save(folder)
    match damage:
        case "cut":
            (folder / "grey.npy").write_bytes((folder / "grey.npy").read_bytes()[:-5000])
        case "objects":
            np.save(folder / "grey.npy", np.array([print], dtype=object), allow_pickle=True)
        case "shape":
            np.save(folder / "tint.npy", np.zeros((2, 4, 4, 2), dtype=np.uint8))
        case "row":
            (folder / "rows.jsonl").write_text("[]\n")
        case "place":
            _row(folder, place=99)
        case "format":
            (folder / "index.json").write_text('{"kind": "benchmark", "format": 0, "rows": 5}')
        case "gone":
            (folder / "rows.jsonl").unlink()
    with pytest.raises(IndexFolderError, match="anew"):
        BenchmarkIndex.open(folder)
