from dataclasses import replace

import pytest
from fakes import MemoryImages
from lakes import make_seed, reflective, verdict_of
from textures import jpeg, texture

from gog.schemas import ImagePart, Message, Reject, TextPart
from gog.transforms.curate.overlaps import check_seed, check_trajectories
from gog.transforms.curate.select import Candidate
from gog.transforms.duplicates.benchmarks.index import WARNINGS, BenchmarkIndex, BenchmarkRow
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.sources.mapping import FieldMapping, SourceRow

NAMED = "How many goals had the team in the blue kit scored after the own goal by Ramy Bensebaini in Barcelona?"
BENCHMARKS = BenchmarkIndex.build(
    [
        BenchmarkRow("livevqa", "7", "Who is this?", ("Ada",), "Ada Lovelace", jpeg(texture(1))),
        BenchmarkRow("dynvqa", "en9", NAMED, ("12",)),
    ]
)


def ingested(number: int, **data: object) -> tuple[SourceRow, Ingested]:
    values = {"question": "What stands there?", "answers": ["Byron"], "image": jpeg(texture(number), 60)} | data
    row = SourceRow("rows.jsonl#3", values)
    mapping = FieldMapping(columns={"entity": "entity"})
    made = to_seed(row, mapping, dataset="d", question_images=2)
    assert isinstance(made, Ingested)
    return row, made


def test_a_seed_of_a_benchmark_is_rejected_with_the_row_named() -> None:
    row, made = ingested(1)
    reject = check_seed(row, made, BENCHMARKS)
    assert isinstance(reject, Reject)
    assert (reject.stage, reject.id, reject.reason) == ("ingest", "rows.jsonl#3", "ingest.benchmark_overlap")
    assert reject.seed_id == made.seed.seed_id
    assert reject.detail.startswith("livevqa 7: image: the same picture, agreement ")
    assert "Byron" in reject.payload


def test_a_second_picture_of_a_benchmark_is_one_too() -> None:
    row, made = ingested(2, image=[jpeg(texture(2), 60), jpeg(texture(1), 60)])
    reject = check_seed(row, made, BENCHMARKS)
    assert isinstance(reject, Reject)
    assert reject.detail.startswith("livevqa 7: image: the same picture")


def test_a_seed_that_shares_an_entity_or_answer_stays_and_says_so() -> None:
    row, made = ingested(2, entity="Ada Lovelace", answers=["ada"])
    kept = check_seed(row, made, BENCHMARKS)
    assert isinstance(kept, Ingested)
    assert kept.seed.extra[WARNINGS] == {"entity": "livevqa 7", "answer": "livevqa 7"}
    assert kept.seed.seed_id == made.seed.seed_id


def test_any_other_seed_is_left_as_it_is() -> None:
    row, made = ingested(2)
    assert check_seed(row, made, BENCHMARKS) is made


def candidates(images: MemoryImages, *told: Message) -> list[Candidate]:
    """Two attempts: the first as it is, the second with further observations before its answer."""
    made = [reflective(make_seed(1, images), images, sample=sample).trajectory for sample in (0, 1)]
    *before, answer = made[1].messages
    made[1] = made[1].model_copy(update={"messages": (*before, *told, answer)})
    return [Candidate(trajectory, verdict_of(trajectory)) for trajectory in made]


def observed(*parts: ImagePart | TextPart) -> Message:
    return Message(role="tool", content=parts, tool_call_id="x")


@pytest.mark.parametrize("what", ["crop", "picture of a search result", "text of a search result"])
def test_a_trajectory_that_brought_in_a_benchmark_leaves_and_the_others_stay(what: str) -> None:
    images = MemoryImages()
    sha256 = images.put(jpeg(texture(1).crop((10, 10, 300, 220))), "jpg")
    text = what.startswith("text")
    part = TextPart(text=f"1. A test: {NAMED} 12.") if text else ImagePart(image=sha256)
    both = candidates(images, observed(part))
    if what == "crop":
        shown = both[1].trajectory.images
        crop = shown[1].model_copy(update={"sha256": sha256})
        both[1] = replace(both[1], trajectory=both[1].trajectory.model_copy(update={"images": (shown[0], crop)}))
    clean, rejects = check_trajectories(both, images, BENCHMARKS)
    assert clean == both[:1]
    [reject] = rejects
    assert (reject.id, reject.reason) == (both[1].trajectory.trajectory_id, "curate.benchmark_overlap")
    assert reject.detail.startswith(what)
    assert ("dynvqa en9: question" if text else "livevqa 7: image") in reject.detail


def test_what_the_model_said_itself_and_its_own_image_are_not_looked_at() -> None:
    images = MemoryImages()
    seed = make_seed(1, images, image_sha256=images.put(jpeg(texture(1)), "jpg"))
    trajectory = reflective(seed, images, thought=NAMED).trajectory
    one = [Candidate(trajectory, verdict_of(trajectory))]
    assert check_trajectories(one, images, BENCHMARKS) == (one, [])


def test_a_search_result_that_is_no_image_is_no_overlap() -> None:
    images = MemoryImages()
    both = candidates(images, observed(ImagePart(image=images.put(b"not an image", "jpg"))))
    assert check_trajectories(both, images, BENCHMARKS) == (both, [])
