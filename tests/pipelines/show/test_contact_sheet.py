import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lakes import EPISODE, TEACHER, make_seed, reflective, said, verdict_of
from PIL import Image, ImageDraw
from several_pictures import BOXES, compared, regions_of, seed_of

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.show.contact_sheet import WIDTH, contact_sheet, pick_example
from gog.pipelines.show.drawing import font, wrapped
from gog.pipelines.show.trajectory import Records, view_of
from gog.schemas import WHOLE, Box, EpisodeImage, Origin, Region, Seed, Trajectory
from gog.transforms.episode.driver import Driven
from gog.transforms.episode.machine import act, start, system_prompt
from gog.transforms.episode.trajectory import Making, make_trajectory

HOSTILE = "\x00\x1b[31m\u202e𓀀 漢字かな 🏴‍☠️ العربية ไทย <b>x</b> " + "W" * 4000


@pytest.fixture
def images(tmp_path: Path) -> ImageFiles:
    return ImageFiles(tmp_path)


@pytest.fixture
def seed(images: ImageFiles) -> Seed:
    return make_seed(1, images)


def sheet(seed: Seed, images: ImageFiles, regions: Sequence[Region] = ()) -> Image.Image:
    made = reflective(seed, images)
    evidence = {item.evidence_id: item for item in made.evidence}
    return contact_sheet(
        view_of(Records(made.trajectory, seed, verdict_of(made.trajectory), evidence, regions)), images
    )


def colours(image: Image.Image) -> set[tuple[int, int, int]]:
    return {colour for _, colour in image.getcolors(maxcolors=1 << 24)}  # type: ignore[misc, union-attr]


def extent(image: Image.Image, colour: object) -> tuple[int, int, int, int]:
    """The least box around the pixels of the scenes that have the colour."""
    y, x = np.nonzero((np.asarray(image.crop((0, 0, 640, image.height))) == colour).all(axis=2))
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


class TestSheet:
    def test_shows_scene_boxes_and_judgements(self, seed: Seed, images: ImageFiles) -> None:
        drawn = sheet(seed, images)
        assert drawn.width == WIDTH
        found = colours(drawn)
        blue, orange = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
        green, red, amber = (0x1A, 0x7F, 0x37), (0xCF, 0x22, 0x2E), (0x9A, 0x67, 0x00)
        assert {blue, orange, green, red} < found
        assert amber not in found

    def test_the_boxes_are_where_the_gazes_were(self, seed: Seed, images: ImageFiles) -> None:
        drawn = sheet(seed, images)
        blue = {
            (x, y) for x in range(32, 632) for y in range(drawn.height) if drawn.getpixel((x, y)) == (0x00, 0x72, 0xB2)
        }
        left, right = min(x for x, _ in blue) - 32, max(x for x, _ in blue) - 32
        # The first gaze is at 0.1 to 0.3 of the scene's 600 pixels; the line and the number's disc lie around it.
        assert 60 - 16 <= left <= 60
        assert 180 <= right <= 180 + 4

    def test_same_input_same_picture(self, seed: Seed, images: ImageFiles) -> None:
        assert sheet(seed, images).tobytes() == sheet(seed, images).tobytes()

    def test_regions_are_drawn_when_given(self, seed: Seed, images: ImageFiles) -> None:
        region = Region(region_id="r", seed_id=seed.seed_id, box=Box(0.5, 0.7, 0.9, 0.9), score=1, source="s")
        assert sheet(seed, images, regions=[region]).tobytes() != sheet(seed, images).tobytes()

    def test_hostile_text_is_drawn_and_bounded(self, images: ImageFiles) -> None:
        seed = make_seed(1, images, question=HOSTILE, answers=(HOSTILE,) * 3, category=HOSTILE, dataset=HOSTILE)
        made = reflective(seed, images, answer=HOSTILE, thought=HOSTILE)
        evidence = {
            item.evidence_id: item.model_copy(
                update={"hits": tuple(h.model_copy(update={"title": HOSTILE, "snippet": HOSTILE}) for h in item.hits)}
            )
            for item in made.evidence
        }
        verdict = verdict_of(made.trajectory, judge=HOSTILE)
        drawn = contact_sheet(view_of(Records(made.trajectory, seed, verdict, evidence)), images)
        assert drawn.width == WIDTH
        assert drawn.height < 2500

    @pytest.mark.parametrize("data", [None, b"no image"])
    def test_pictures_that_are_missing_or_damaged(self, images: ImageFiles, data: bytes | None) -> None:
        seed = make_seed(1, images)
        made = reflective(seed, images)
        evidence = {item.evidence_id: item for item in made.evidence}

        for path in images._folder.rglob("*.jpg"):
            if data is None:
                path.unlink()
            else:
                path.write_bytes(data)
        assert contact_sheet(view_of(Records(made.trajectory, seed, None, evidence)), images).width == WIDTH

    @pytest.mark.parametrize("size", [(4000, 20), (20, 4000), (1, 1)])
    def test_scenes_of_any_shape(self, images: ImageFiles, size: tuple[int, int]) -> None:
        buffer = Image.new("RGB", size, "red")
        path = images._folder / "x.png"
        path.parent.mkdir(exist_ok=True)
        buffer.save(path)
        sha256 = images.put(path.read_bytes(), "png")
        seed = make_seed(1, images, image_sha256=sha256, width=size[0], height=size[1])
        assert sheet(seed, images).height < 3000

    @pytest.mark.parametrize("pictures", [2, 3])
    def test_each_picture_has_its_own_boxes(self, images: ImageFiles, pictures: int) -> None:
        seed = seed_of(pictures, images)
        made = compared(seed, images)
        evidence = {item.evidence_id: item for item in made.evidence}
        records = Records(made.trajectory, seed, None, evidence, regions_of(seed))
        drawn = contact_sheet(view_of(records), images)
        assert drawn.width == WIDTH
        # Where each picture's own colour is, and the gaze's that lies on it: the number's disc is larger than its line.
        for number, gaze in enumerate(((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73))[:pictures]):
            ground = Image.open(io.BytesIO(images.read(seed.image_hashes[number]))).getpixel((0, 0))
            left, top, right, bottom = extent(drawn, ground)
            at = extent(drawn, gaze)
            assert left - 16 <= at[0] < at[2] <= right
            assert top - 16 <= at[1] < at[3] <= bottom
            assert at[2] == pytest.approx(left + BOXES[number][2] * (right - left), abs=4)
            assert at[3] == pytest.approx(top + BOXES[number][3] * (bottom - top), abs=4)

    def test_many_pictures_take_no_more_room_than_one(self, images: ImageFiles) -> None:
        seed = seed_of(3, images)
        many = seed.model_copy(update={"further_images": seed.further_images * 8})
        made = compared(seed, images).trajectory.model_copy(update={"images": (), "steps": ()})
        high = contact_sheet(view_of(Records(made, many)), images).height
        assert high <= contact_sheet(view_of(Records(made, seed_of(1, images))), images).height + 600

    def test_an_episode_of_mistakes_alone(self, seed: Seed, images: ImageFiles) -> None:
        original = EpisodeImage(sha256=seed.image_sha256, width=400, height=300, box=WHOLE)
        episode = start(EPISODE, seed.question, [original], system_prompt(EPISODE)[0])
        while episode.stop is None:
            episode = act(episode, said("I do not know.", ("fly", "{}")))
        made = make_trajectory(seed, Driven(episode), Making(Origin.ROLLOUT, TEACHER, 0, {}))
        assert contact_sheet(view_of(Records(made, seed)), images).width == WIDTH


class TestWrapped:
    @given(st.text(max_size=200), st.integers(20, 400), st.integers(1, 4))
    def test_lines_fit(self, text: str, width: int, lines: int) -> None:
        done = wrapped(text, font(15), width, lines)
        assert len(done) <= lines
        for line in done:
            assert font(15).getlength(line) <= width or len(line) <= 3
        ImageDraw.Draw(Image.new("RGB", (10, 10))).text((0, 0), "\n".join(done), font=font(15))

    def test_nothing_is_lost_where_there_is_room(self) -> None:
        assert " ".join(wrapped("a bird in the hand is worth two in the bush", font(15), 100, 99)) == (
            "a bird in the hand is worth two in the bush"
        )

    def test_what_is_left_out_is_said(self) -> None:
        assert wrapped("a bird in the hand is worth two", font(15), 100, 1)[0].endswith("…")


class TestPick:
    def test_prefers_what_shows_most(self, seed: Seed, images: ImageFiles) -> None:
        best = reflective(seed, images).trajectory
        composed = reflective(seed, images, origin=Origin.COMPOSE).trajectory
        wrong = reflective(seed, images, answer="Uganda").trajectory
        plain = best.model_copy(update={"reflective": False, "trajectory_id": "trajectory-plain"})
        everything = [wrong, plain, composed, best]
        verdicts = {t.trajectory_id: verdict_of(t) for t in everything}
        assert pick_example(everything, verdicts) == best
        assert pick_example(reversed(everything), verdicts) == best
        assert pick_example([wrong, plain, composed], verdicts) == composed
        assert pick_example([wrong, plain], verdicts) == plain

    def test_takes_what_there_is(self, seed: Seed, images: ImageFiles) -> None:
        only: Trajectory = reflective(seed, images, answer="Uganda").trajectory
        assert pick_example([only], {}) == only
        assert pick_example([], {}) is None
