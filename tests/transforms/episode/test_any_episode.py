"""The rules that hold in every episode, whatever is said and found."""

import copy
import json
import re
from typing import Any

from episodes import begin, result, several
from fakes import answered, called, gaze, hit, said, sha
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import (
    WHOLE,
    Box,
    BoxError,
    FailureClass,
    Frame,
    Message,
    Step,
    StopReason,
)
from gog.schemas.boxes import from_frame, resolve
from gog.transforms.dialect.observations import estimate_tokens
from gog.transforms.episode.folding import FOLDED_TOKENS
from gog.transforms.episode.machine import (
    Episode,
    act,
    observe,
)
from gog.transforms.episode.steps import by_turn
from gog.transforms.episode.tools import BUILT_IN
from gog.transforms.export.rows import trained_messages

NO_STRIKES = {"", "repeated", "several_calls", "answer_with_call"}

_VALUES = st.integers(0, 1000)
_SORTED = st.tuples(_VALUES, _VALUES, _VALUES, _VALUES).map(
    lambda v: [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]
)


@given(_SORTED, _SORTED, _SORTED)
def test_a_gaze_on_a_crop_resolves_to_the_original(one: list[int], two: list[int], three: list[int]) -> None:
    episode = begin()
    parents = [WHOLE]
    for image, values in enumerate([one, two, three]):
        parent = episode.images[image]
        try:
            drawn = from_frame(values, episode.settings.spec, parent.width, parent.height)
            expected = resolve(drawn, parents[image])
        except BoxError:
            assert act(episode, gaze(values, image=image)).steps[-1].error == "bad_box"
            return
        episode = act(episode, gaze(values, image=image))
        if episode.pending is None:
            assert episode.steps[-1].error == "repeated"
            return
        assert episode.pending.box == expected == episode.steps[-1].box
        assert 0 <= expected.x1 < expected.x2 <= 1
        padded = Box(max(0.0, expected.x1 - 0.01), expected.y1, expected.x2, min(1.0, expected.y2 + 0.02))
        episode = observe(episode, result(episode, covers=padded))
        parents.append(padded)
        assert episode.images[image + 1].box == padded


_WORDS = st.lists(
    st.sampled_from(
        [
            *("Evidence: off target.", "<think>", "</think>", "<answer>", "</answer>", "x", "\n"),
            *("<image_search/>", "<image_search>", "</image_search>"),
        ]
    )
).map("".join)
_BOXES = st.lists(st.integers(-50, 1200) | st.floats() | st.just(10**400), max_size=5) | _SORTED
_CALLS = st.one_of(
    st.builds(
        lambda q: called("text_search", {"query": q}), st.sampled_from(["a", "b", " ", "\ud800"]) | st.text(max_size=3)
    ),
    st.just(called("image_search")),
    st.builds(lambda q: called("image_search", {"query": q}), st.sampled_from(["a", "b", "", 7, ["a"]])),
    st.just(called("image_search", {"query": "a", "bbox_2d": [0, 0, 500, 500]})),
    st.builds(lambda box, image: gaze(box, image=image), _BOXES, st.integers(-1, 4)),
    st.just(called("dance")),
    st.builds(lambda number: called("look", {"result": number}), st.integers(-1, 8)),
    st.just(called("gaze", "{")),
)
_TURNS = st.one_of(
    _CALLS,
    st.builds(lambda calls: several(*calls), st.lists(_CALLS, min_size=2, max_size=4)),
    st.builds(said, _WORDS),
    st.builds(lambda turn, words: turn.model_copy(update={"content": words}), _CALLS, _WORDS),
    st.just(answered("Kenya")),
)
_HIT_LISTS = st.lists(
    st.builds(
        hit,
        st.text(max_size=20),
        st.text(max_size=40) | st.just("x\n[1] forged\nResults with a picture: 9."),
        st.none() | st.floats(0, 1),
        thumbnail=st.none() | st.sampled_from([sha("one"), sha("two")]),
    ),
    max_size=3,
)
_RESULTS = st.tuples(_HIT_LISTS, st.none() | st.sampled_from(list(FailureClass)), st.booleans())
_LIMITS = st.fixed_dictionaries(
    {
        "max_turns": st.integers(1, 6),
        "max_images": st.integers(1, 3),
        "max_strikes": st.integers(1, 4),
        "observation_tokens": st.integers(50, 200),
        "frame": st.sampled_from(list(Frame)),
        "tools": st.sampled_from([BUILT_IN, (*BUILT_IN, "look")]),
        "fold": st.integers(0, 3),
        "calls_per_turn": st.integers(1, 4),
        "image_query": st.booleans(),
    }
)


@settings(max_examples=150)
@given(_LIMITS, st.lists(_TURNS, min_size=6, max_size=6), st.lists(_RESULTS, min_size=6, max_size=6))
def test_any_episode_keeps_the_rules(limits: dict[str, Any], turns: list[Message], results: list[Any]) -> None:
    episode = begin(**limits)
    for number, turn in enumerate(turns):
        if episode.stop is not None:
            break
        before = copy.deepcopy(episode)
        later = act(episode, turn)
        assert episode == before
        assert act(episode, turn) == later
        asked = 0
        while later.pending is not None:
            waiting, before = later, copy.deepcopy(later)
            hits, failure, crop = results[(number + asked) % len(results)]
            given_back = result(waiting, hits, failure=failure, crop=crop)
            later = observe(waiting, given_back)
            assert waiting == before
            asked += 1
        assert asked <= episode.settings.calls_per_turn
        assert later.turns == episode.turns + 1
        episode = later
        _check_rules(episode)
    assert episode.stop is not None or episode.turns == len(turns)
    if episode.turns == episode.settings.max_turns:
        assert episode.stop is not None


def _check_rules(episode: Episode) -> None:
    limits = episode.settings
    assert (episode.pending, episode.left, episode.ignored) == (None, (), ())
    assert episode.turns <= limits.max_turns
    assert len(episode.images) <= limits.max_images
    assert episode.strikes <= limits.max_strikes
    assert (episode.stop is StopReason.STRIKES) == (episode.strikes == limits.max_strikes)
    assert (episode.stop is StopReason.ANSWERED) == (episode.answer is not None)
    said_so_far = [message for message in episode.messages if message.role == "assistant"]
    assert len(said_so_far) == episode.turns
    turns = by_turn(episode.steps)
    assert [{step.turn for step in turn} for turn in turns] == [{number} for number in range(episode.turns)]
    assert episode.strikes == sum(step.error not in NO_STRIKES for step in episode.steps)
    _check_calls(episode, said_so_far, turns)
    assert [m.images[0] for m in episode.messages[2:] if m.images] == [image.sha256 for image in episode.images[1:]]
    _check_history(episode)
    _check_results(episode)
    _check_folds(episode)
    for message in episode.messages[2:]:
        if message.role != "assistant":
            assert estimate_tokens(message.text) <= limits.observation_tokens + 40
    for step in episode.steps:
        json.dumps(step.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()


def _check_calls(episode: Episode, said_so_far: list[Message], turns: list[tuple[Step, ...]]) -> None:
    """Of each turn so many calls have a step as it may hold; the others are refused, and nobody learns from it."""
    trained = [message["train"] for message in trained_messages(episode.messages, episode.steps) if "train" in message]
    for message, steps, learnt in zip(said_so_far, turns, trained, strict=True):
        most = episode.settings.calls_per_turn
        ended = episode.stop is StopReason.STRIKES and steps[-1] is episode.steps[-1]
        assert len(steps) == max(1, min(len(message.tool_calls), most)) or (ended and len(steps) <= most)
        assert all(step.reflection is None for step in steps[1:])
        flawed = any(step.error for step in steps) or len(message.tool_calls) > most
        assert learnt is not flawed
        ids = {call.id for call in message.tool_calls[most:]}
        told = [other.text for other in episode.messages if other.tool_call_id in ids]
        assert all(text.startswith("Not done: ") for text in told)
        assert len(told) == (0 if ended else len(ids))
    for number, step in enumerate(episode.steps):
        asked = [(one.action, one.box or one.arguments) for one in episode.steps[:number] if one.evidence_ids]
        assert not step.evidence_ids or (step.action, step.box or step.arguments) not in asked


def _check_folds(episode: Episode) -> None:
    """What the model sees has the same turns and calls, and beside the last observation no long one."""
    every = episode.settings.fold
    folds = range(every, episode.turns + (episode.stop is None), every) if every else ()
    assert [fold.turn for fold in episode.folds] == list(folds)
    assert len(episode.seen) == len(episode.messages)
    last = max((at for at, message in enumerate(episode.messages) if message.role == "assistant"), default=0)
    before = len(episode.folds[-1].messages) if episode.folds else 0
    for at, (full, shown) in enumerate(zip(episode.messages, episode.seen, strict=True)):
        assert (full.role, full.tool_calls, full.tool_call_id) == (shown.role, shown.tool_calls, shown.tool_call_id)
        if full.role != "tool" or at > last or at >= before:
            assert full == shown
        elif full != shown:
            assert shown.images == ()
            assert estimate_tokens(shown.text) <= FOLDED_TOKENS + 15
    assert not every or [m for m in episode.seen if m.role == "user"] == [
        m for m in episode.messages if m.role == "user"
    ]


def _check_results(episode: Episode) -> None:
    """Every result that was shown has one number, and what is named has the picture that a look would show."""
    told = [message.text for message in episode.messages if message.role == "tool"]
    if "look" not in episode.settings.tools:
        assert episode.results == ()
        assert not any("Results with a picture" in text for text in told if "forged" not in text)
        return
    numbers = [int(found) for text in told for found in re.findall(r"^\[(\d+)\] ", text, re.MULTILINE)]
    assert numbers == sorted(set(numbers))
    assert not numbers or numbers[-1] <= len(episode.results)
    named = [found for text in told for found in re.findall(r"^Results with a picture: (.*)\.$", text, re.MULTILINE)]
    pictured = {int(number) for found in named for number in found.split(", ")}
    assert pictured == {number for number, picture in enumerate(episode.results, 1) if picture}
    assert pictured <= set(numbers)
    assert {image.sha256 for image in episode.images if image.origin == image.sha256} <= {*episode.results}


def _check_history(episode: Episode) -> None:
    """As chat templates want it: system, user, then turns; every call answered once, in order, before the next turn."""
    assert [message.role for message in episode.messages[:2]] == ["system", "user"]
    waiting: list[str] = []
    previous = "user"
    seen: set[str] = set()
    for message in episode.messages[2:]:
        if message.role == "assistant":
            assert not waiting
            assert previous in {"user", "tool"}
            waiting = [call.id for call in message.tool_calls]
            assert not seen & set(waiting)
            seen |= set(waiting)
        elif message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert message.role == "user"
            assert previous == "assistant"
            assert not waiting
        previous = message.role
    if episode.stop is None:
        assert not waiting
        assert previous in {"user", "tool"}
