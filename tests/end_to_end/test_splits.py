"""What a trainer gets: splits that load, with their images, without leaks, and with nothing of the teacher's."""

import io
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image
from runs import Rows, exported, messages_of, run_folder, said_in, select

from gog.pipelines.config.config import Config
from gog.pipelines.lake.lake import Lake
from gog.schemas import Evidence, Region, Seed, Trajectory
from gog.schemas.boxes import from_frame
from gog.transforms.curate.splits import page_key
from gog.transforms.episode.machine import system_prompt
from gog.transforms.image_store import open_image
from gog.transforms.verify.leaks import leakable
from gog.transforms.verify.normalise import contains, normalise

KINDS = ("sft", "rl")
SPLITS = ("train", "validation")


def opened(config: Config, kind: str, cache: Path) -> datasets.DatasetDict:
    """The export as the library `datasets` opens it."""
    folder = run_folder(config) / "exports" / kind
    patterns = {split: str(folder / "data" / f"{split}-*.parquet") for split in SPLITS}
    return datasets.load_dataset("parquet", data_files=patterns, cache_dir=str(cache))


def sides(config: Config) -> dict[str, Rows]:
    """What is trained on and what is held out, by SFT and RL together."""
    return {split: [row for kind in KINDS for row in exported(config, kind, split)] for split in SPLITS}


def seed_id(row: dict[str, Any]) -> str:
    """The seed of an SFT or RL row."""
    return str(row.get("seed_id") or row["id"])


def seeds_of(config: Config) -> dict[str, Seed]:
    return {seed.seed_id: seed for seed in Lake(Path(config.lake)).read_table(config.run, "seeds", Seed)}


def trajectories_of(config: Config) -> dict[str, Trajectory]:
    table = Lake(Path(config.lake)).read_table(config.run, "trajectories", Trajectory)
    return {trajectory.trajectory_id: trajectory for trajectory in table}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:datasets.*", "ignore::ResourceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_load_dataset_opens_the_splits_with_their_images(tiny: Config, tmp_path: Path, kind: str) -> None:
    loaded = opened(tiny, kind, tmp_path)
    seeds = seeds_of(tiny)
    assert set(loaded) == set(SPLITS)
    for split, rows in loaded.items():
        assert len(rows) == len(exported(tiny, kind, str(split))) > 0
        for row in rows:
            places = [part for message in messages_of(row) for part in parts(message) if part["type"] == "image"]
            assert len(row["images"]) == len(row["image_sha256"]) == len(places)
            assert all(isinstance(image, Image.Image) for image in row["images"])
            assert all(place == {"type": "image"} for place in places)
            seed = seeds[seed_id(row)]
            assert row["images"][0].size == (seed.width, seed.height)
            for image in row["images"]:
                image.load()


def parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a message's content; none where it is text."""
    return message["content"] if isinstance(message["content"], list) else []


def test_no_image_cluster_entity_or_page_is_in_two_splits(tiny: Config) -> None:
    seeds = seeds_of(tiny)
    clusters = dict(select(tiny, "SELECT seed_id, cluster FROM groups"))
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for side, rows in sides(tiny).items():
        for row in rows:
            seed = seeds[seed_id(row)]
            places["cluster", clusters[seed.seed_id]].add(side)
            places["image", seed.image_sha256].add(side)
            places["seed", seed.seed_id].add(side)
            if seed.entity:
                places["entity", normalise(seed.entity)].add(side)
            if seed.gold_page:
                places["page", page_key(seed.gold_page)].add(side)
    assert {key: found for key, found in places.items() if len(found) > 1} == {}


def test_rl_does_not_train_on_what_sft_trained_on(tiny: Config) -> None:
    trained = {row["seed_id"] for row in exported(tiny, "sft")}
    assert trained
    assert trained.isdisjoint(row["id"] for row in exported(tiny, "rl"))


def test_images_that_look_the_same_are_in_one_split(tiny: Config) -> None:
    """By our own count of differing bits and pixels, not by the clusters that the engine made."""
    seeds = seeds_of(tiny)
    images = Lake(Path(tiny.lake)).images
    looks = [(seeds[seed_id(row)], side) for side, rows in sides(tiny).items() for row in rows]
    for (one, here), (other, there) in itertools.combinations(looks, 2):
        bits = (int(one.image_phash, 16) ^ int(other.image_phash, 16)).bit_count()
        if here == there or bits > tiny.curate.near_duplicate_bits:
            continue
        first, second = (
            np.asarray(open_image(images, seed.image_sha256).resize((64, 64)), dtype=float) for seed in (one, other)
        )
        assert np.abs(first - second).reshape(8, 8, 8, 8, 3).mean(axis=(1, 3, 4)).max() > 7


def turns(row: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Assistant messages of a row: position, message, and all that was shown before it."""
    shown = ""
    for position, message in enumerate(messages_of(row)):
        if message["role"] == "assistant":
            yield position, message, shown
        else:
            shown += "\n" + said_in(message)


def test_the_teachers_prompt_and_hints_stay_behind(tiny: Config) -> None:
    policy, _ = system_prompt(tiny.episode)
    teacher, _ = system_prompt(tiny.episode, teacher=True)
    originals = trajectories_of(tiny)
    assert policy != teacher
    hinted = 0
    for row in exported(tiny, "sft"):
        messages = messages_of(row)
        assert [message["role"] for message in messages[:2]] == ["system", "user"]
        assert messages[0]["content"] == policy
        texts = [part["text"] for part in parts(messages[1]) if part["type"] == "text"]
        assert len(texts) == 1
        assert row["question"] in texts[0]
        original = originals[row["id"]].messages
        hints = [part.text for part in original[1].content[2:] if not isinstance(part, str) and part.type == "text"]
        hinted += len(hints)
        whole = json.dumps(messages, ensure_ascii=False)
        for line in (line for hint in hints for line in hint.splitlines() if len(line) > 12):
            assert line not in whole
        assert all(message["role"] in {"assistant", "tool"} for message in messages[2:])
    assert hinted > 0, "no kept rollout had hints: the test shows nothing"
    for row in exported(tiny, "rl"):
        messages = messages_of(row)
        assert [message["role"] for message in messages] == ["system", "user"]
        assert messages[0]["content"] == policy


def test_no_word_of_plans_or_hints_and_no_gold_answer_before_evidence(tiny: Config) -> None:
    seeds = seeds_of(tiny)
    words = re.compile(r"\b(hints?|detector|candidate|according to the plan|the plan|gold answer|ground truth)\b", re.I)
    for row in exported(tiny, "sft"):
        golds = leakable(seeds[row["seed_id"]])
        messages = messages_of(row)
        for position, message, shown in turns(row):
            said = said_in(message)
            assert not words.search(said), said
            if position < len(messages) - 1:
                known = normalise(shown)
                for gold in golds:
                    assert not contains(normalise(said), gold) or any(contains(known, other) for other in golds)
    for row in exported(tiny, "rl"):
        golds = leakable(seeds[row["id"]])
        prompt = normalise(" ".join(said_in(message) for message in messages_of(row)[1:]))
        assert not any(contains(prompt, gold) for gold in golds)


def test_every_turn_says_whether_the_loss_may_see_it(tiny: Config) -> None:
    originals = trajectories_of(tiny)
    for row in exported(tiny, "sft"):
        flags = [message["train"] for _, message, _ in turns(row)]
        assert flags == [step.train and not step.error for step in originals[row["id"]].steps]
        assert flags[-1] is True
        others = [message for message in messages_of(row) if message["role"] != "assistant"]
        assert all("train" not in message for message in others)


def test_planned_wrong_looks_are_not_trained_but_the_reflection_after_them_is(tiny: Config) -> None:
    detours = [t for t in trajectories_of(tiny).values() if t.plan and any(not step.train for step in t.steps)]
    assert detours, "no plan began with a search that missed"
    for trajectory in detours:
        wrong = [number for number, step in enumerate(trajectory.steps) if not step.train]
        assert all(trajectory.steps[number].action in {"gaze", "image_search"} for number in wrong)
        assert all(trajectory.steps[number + 1].train for number in wrong)
        assert all(trajectory.steps[number + 1].reflection is not None for number in wrong)


def test_calls_and_results_alternate_and_boxes_lie_in_their_images(tiny: Config) -> None:
    frame = tiny.episode.spec
    gazes = 0
    for row in exported(tiny, "sft"):
        sizes = [image_size(picture) for picture in row["images"]]
        names = {tool["function"]["name"] for tool in json.loads(row["tools"])}
        open_calls: list[str] = []
        seen = 0
        for message in messages_of(row):
            if message["role"] == "tool":
                assert message["tool_call_id"] == open_calls.pop(0)
            else:
                assert open_calls == []
            seen += sum(part["type"] == "image" for part in parts(message))
            for call in message.get("tool_calls", []):
                open_calls.append(call["id"])
                assert call["function"]["name"] in names
                arguments = json.loads(call["function"]["arguments"])
                if call["function"]["name"] == "gaze" and message["train"]:
                    gazes += 1
                    assert arguments["image"] < seen
                    width, height = sizes[arguments["image"]]
                    box = from_frame(arguments["bbox_2d"], frame, width, height)
                    assert 0 <= box.x1 < box.x2 <= 1
                    assert 0 <= box.y1 < box.y2 <= 1
        assert open_calls == []
        assert messages_of(row)[-1]["content"] == f"<answer>{row['answer']}</answer>"
    assert gazes > 0


def image_size(picture: dict[str, Any]) -> tuple[int, int]:
    with Image.open(io.BytesIO(picture["bytes"])) as image:
        return image.size


def test_regions_and_evidence_lie_in_their_images(tiny: Config) -> None:
    lake = Lake(Path(tiny.lake))
    boxes = [region.box for region in lake.read_table(tiny.run, "regions", Region)]
    boxes += [e.box for e in lake.read_table(tiny.run, "evidence", Evidence) if e.box is not None]
    assert len(boxes) > 100
    for box in boxes:
        assert 0 <= box.x1 < box.x2 <= 1
        assert 0 <= box.y1 < box.y2 <= 1


def test_the_rl_rows_hold_what_a_reward_needs(tiny: Config) -> None:
    seeds = seeds_of(tiny)
    levels = {row["level"] for row in exported(tiny, "rl")}
    assert levels
    assert levels <= set(tiny.export.levels)
    for row in exported(tiny, "rl"):
        seed = seeds[row["id"]]
        assert tuple(row["answers"]) == seed.answers
        assert row["answer_type"] == seed.answer_type
        assert row["pass_low"] <= row["pass_rate"] <= row["pass_high"]
        assert row["passes"] <= row["k"] <= tiny.label.k
