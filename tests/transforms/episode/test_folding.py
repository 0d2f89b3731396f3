"""Folding: what is shortened and when, that every request is recorded, and what of it is trained."""

import asyncio
import json
from pathlib import Path

from fakes import FakeSearch, ScriptedPolicy, answered, called, gaze, hit, seed_of, services
from verifying import closed_world_judge

from gog.schemas import Fold, Message, Seed, Split, Trajectory
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.folding import FOLDED_TOKENS, folded, seen
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.reframe import reframe
from gog.transforms.export.rows import ExportSettings, SftRow, sft_row
from gog.transforms.synthesize.rollout import Attempt, RolloutSettings, rollout
from gog.transforms.verify.verdict import verdict

LONG = "Nairobi is the capital. " + "The city has many parks and roads. " * 40
SETTINGS = EpisodeSettings(max_turns=30, max_images=30, fold=4)


def search(number: int) -> Message:
    return called("text_search", {"query": f"query {number}"}, think="I go on.")


def looked(number: int) -> Message:
    return gaze([10 * number, 0, 500 + 10 * number, 500], think="I look.")


def played(
    folder: Path, *turns: Message, settings: EpisodeSettings = SETTINGS
) -> tuple[Attempt, ScriptedPolicy, EpisodeSettings]:
    policy = ScriptedPolicy([*turns, answered("Nairobi", think="Evidence: useful.")])
    text = FakeSearch(lambda query: (hit("A page", LONG),), id="fake-text:1")
    image = FakeSearch(lambda _: (hit("Kenya", LONG),), id="fake-image:1")
    with services(folder, policy, text=text, image=image) as (world, images):
        seed = seed_of(images)
        attempt = asyncio.run(rollout(world, policy, seed, (), 0, RolloutSettings(), settings))
    return attempt, policy, settings


def trajectory_of(attempt: Attempt) -> Trajectory:
    assert attempt.trajectory is not None, attempt.reject
    return attempt.trajectory


def requests_of(trajectory: Trajectory) -> list[tuple[Message, ...]]:
    """What the model had in front of it at each turn, out of the record alone."""
    asked, before = [], [at for at, message in enumerate(trajectory.messages) if message.role == "assistant"]
    for turn, at in enumerate(before):
        folds = [fold for fold in trajectory.folds if fold.turn <= turn]
        asked.append(seen(trajectory.messages[:at], folds))
    return asked


def test_what_is_not_of_the_last_turn_keeps_its_beginning() -> None:
    calls = [search(0), search(1)]
    told = [Message(role="tool", content=f"text_search found 1 result.\n{LONG}", tool_call_id=n) for n in "ab"]
    note = Message(role="user", content="Error: " + "x" * 999)
    chat = (Message(role="user", content=LONG), calls[0], told[0], Message(role="assistant"), note, calls[1], told[1])
    short = folded(chat)
    assert [a == b for a, b in zip(chat, short, strict=True)] == [True, True, False, True, True, True, True]
    assert short[2].text.startswith("text_search found 1 result.\nNairobi is the capital.")
    assert short[2].text.endswith(" …")
    assert short[2].tool_call_id == "a"
    assert len(short[2].text.encode()) <= 4 * FOLDED_TOKENS
    assert folded(short) == short


def test_every_request_is_recorded_and_grows_between_folds(tmp_path: Path) -> None:
    turns = [looked(n) if n % 3 == 0 else search(n) for n in range(28)]
    attempt, policy, _ = played(tmp_path, *turns)
    trajectory = trajectory_of(attempt)
    asked = [request.messages for request in policy.requests]
    assert len(asked) == len(trajectory.steps) == 29
    assert asked == requests_of(trajectory)
    assert [fold.turn for fold in trajectory.folds] == [4, 8, 12, 16, 20, 24, 28]
    for turn in range(1, 29):
        whole = asked[turn][: len(asked[turn - 1])] == asked[turn - 1]
        assert whole is (turn % 4 != 0)
    longest = max(sum(len(m.text) for m in request) for request in asked)
    assert longest < 0.5 * sum(len(message.text) for message in trajectory.messages)
    assert all(len([m for m in request if m.images]) <= 6 for request in asked)
    assert len(trajectory.images) == 11


def test_an_image_that_is_not_shown_any_more_keeps_its_number(tmp_path: Path) -> None:
    attempt, policy, _ = played(tmp_path, looked(0), *map(search, range(3)), gaze([0, 0, 500, 500], image=1))
    trajectory = trajectory_of(attempt)
    shortened = policy.requests[4].messages[4 - 1]
    assert shortened.images == ()
    assert shortened.text.startswith("Image 1: the crop (")
    assert shortened.text.endswith("\n(Not shown any more; it keeps its number.)")
    assert [step.error for step in trajectory.steps] == [""] * 6
    assert trajectory.images[2].box.x2 < trajectory.images[1].box.x2


def test_without_it_nothing_is_folded(tmp_path: Path) -> None:
    attempt, policy, _ = played(tmp_path, *map(search, range(5)), settings=EpisodeSettings())
    trajectory = trajectory_of(attempt)
    assert trajectory.folds == ()
    assert policy.requests[-1].messages == trajectory.messages[:-1]
    assert "folds" not in json.loads(trajectory.model_dump_json(exclude_defaults=True))


def row_of(trajectory: Trajectory, seed: Seed, attempt: Attempt, settings: EpisodeSettings) -> SftRow:
    by_id = {one.evidence_id: one for one in attempt.evidence}
    judged = asyncio.run(verdict(trajectory, seed, by_id, None, closed_world_judge))
    assert judged.leaked is False
    row = sft_row(trajectory, seed, judged, Split.TRAIN, ExportSettings(), settings)
    assert isinstance(row, SftRow)
    return row


def test_a_row_is_what_the_model_saw_last_and_trains_the_turns_since(tmp_path: Path) -> None:
    named = search(6).model_copy(update={"reasoning_content": "Evidence: useful. It is Nairobi."})
    attempt, policy, settings = played(tmp_path, looked(0), *map(search, range(1, 6)), named)
    trajectory = trajectory_of(attempt)
    row = row_of(trajectory, attempt.seed, attempt, settings)
    chat = json.loads(row.messages)
    texts = [
        message["content"]
        if isinstance(message["content"], str)
        else "".join(part.get("text", "") for part in message["content"])
        for message in chat
    ]
    last = policy.requests[-1].messages
    assert texts[2:-1] == [message.text for message in last[2:]]
    assert [message["train"] for message in chat if message["role"] == "assistant"] == [False] * 4 + [True] * 4
    assert row.image_sha256 == (attempt.seed.image_sha256,)
    assert row.messages.count('"type":"image"') + row.messages.count('"type": "image"') == 1


def test_a_backbones_row_folds_at_the_same_turns(tmp_path: Path) -> None:
    attempt, _, settings = played(tmp_path, *(looked(n) for n in range(6)))
    trajectory = trajectory_of(attempt)
    by_id = {one.evidence_id: one for one in attempt.evidence}
    for name in ("qwen2.5-vl", "qwen3-vl"):
        target = settings.in_frame(BACKBONES[name].spec)
        out = reframe(trajectory, attempt.seed, by_id, settings, target)
        assert isinstance(out, Trajectory), out
        assert [fold.turn for fold in out.folds] == [4]
        assert out.folds[0].messages[:3] == out.messages[:3]
        assert row_of(out, attempt.seed, attempt, target).frame == target.frame
        assert seen(out.messages, out.folds)[2:5] == (
            *out.messages[2:3],
            *folded(out.messages[:12])[3:5],
        )


def test_a_trajectory_of_before_has_no_folds(tmp_path: Path) -> None:
    attempt, _, _ = played(tmp_path, *map(search, range(5)))
    trajectory = trajectory_of(attempt)
    assert isinstance(trajectory.folds[0], Fold)
    written = json.loads(trajectory.model_dump_json())
    del written["folds"]
    assert Trajectory.model_validate(written).folds == ()
