"""What the planner reads of prompts and observations is what was put into them: here a rewording is heard of."""

import json
from typing import Any

import pytest
from episodes import IMAGE, play, result
from fakes import answered, called, gaze, hit, said
from playing import World

from gog.prompts import render
from gog.schemas import Box, FailureClass, Frame, ImagePart, Message, Reflection, TextPart
from gog.schemas.boxes import to_frame
from gog.transforms.atlas.planner.dialogue import Came, Dialogue, frame_of, read_dialogue
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.atlas.planner.request import PlannerState
from gog.transforms.dialect.turns import FRAME_TEXT
from gog.transforms.episode.machine import Episode, EpisodeSettings, act, observe, offered_tools, start, system_prompt
from gog.transforms.services.protocols import ChatRequest

HITS = (hit("Kenya", "Its capital is Nairobi.", 0.91), hit("Chad", "", 0.5, rank=2))


def begun(hints: str | None = None, *, teacher: bool = False, **changes: Any) -> Episode:
    settings = EpisodeSettings(**changes)
    return start(settings, "What is\nthe capital?", [IMAGE], system_prompt(settings, teacher=teacher)[0], hints=hints)


def read(episode: Episode, *, max_turns: int = 0) -> Dialogue:
    dialogue = read_dialogue(episode.messages, max_turns=max_turns)
    assert dialogue is not None
    return dialogue


@pytest.mark.parametrize("teacher", [False, True])
@pytest.mark.parametrize("frame", [Frame.PER_MILLE, Frame.FRACTION, Frame.PIXELS])
def test_question_size_frame_and_turns(frame: Frame, teacher: bool) -> None:
    dialogue = read(begun(frame=frame, teacher=teacher, max_turns=3))
    assert (dialogue.question, dialogue.image) == ("What is\nthe capital?", IMAGE.sha256)
    assert (dialogue.width, dialogue.height, dialogue.frame) == (IMAGE.width, IMAGE.height, frame)
    assert not dialogue.last_turn
    assert read(begun(teacher=teacher, max_turns=1)).last_turn


def test_hints() -> None:
    boxes = (Box(0.1, 0.2, 0.3, 0.4), Box(0.5, 0.5, 1.0, 1.0))
    listed = [{"box": str([int(1000 * v) for v in box]), "label": "a flag [1, 2, 3, 4]"} for box in boxes]
    hints = read(begun(render("episode/hints", regions=listed).text)).hints
    assert hints == boxes


def test_results_of_every_kind() -> None:
    search, box = called("text_search", {"query": "capital of Kenya"}), [500, 0, 1000, 1000]
    episode = play(begun(), search, search, gaze(box), hits=HITS)
    episode = play(episode, gaze([0, 0, 500, 500], image=1), hits=())
    episode = act(episode, called("text_search", {"query": "more"}))
    episode = observe(episode, result(episode, failure=FailureClass.TIMEOUT))
    episode = play(episode, said("I wonder."))
    past = read(episode).past
    assert [turn.came for turn in past] == [
        Came.HITS,
        Came.REPEATED,
        Came.HITS,
        Came.NOTHING,
        Came.FAILED,
        Came.ERROR,
    ]
    assert [turn.tool for turn in past] == ["text_search", "text_search", "gaze", "gaze", "text_search", ""]
    assert past[0].query == "capital of Kenya"
    found = [(one.title, one.score, one.snippet) for one in past[0].found]
    assert found == [(one.title, one.score, one.snippet) for one in HITS]
    assert [turn.box for turn in past] == [step.box for step in episode.steps]
    assert past[3].box is not None, "the size of the crop is read off"


def test_judgements_of_results() -> None:
    turns = [called("image_search"), gaze([0, 0, 500, 500], think="Evidence: off target.")]
    episode = play(begun(), *turns, answered("x", think="Evidence: useful."), hits=HITS)
    assert [turn.judged for turn in read(episode).past] == [Reflection.OFF_TARGET, Reflection.USEFUL, None]


def test_the_last_turn_and_the_last_crop(world: World) -> None:
    episode = play(begun(max_turns=2), called("image_search"), hits=HITS)
    assert "You have 2 turns" in episode.messages[0].text
    assert read(episode).last_turn
    shown = "\n".join(message.text for message in episode.messages[3:])
    assert "answer now" in shown.lower()
    cut = play(begun(max_images=2), gaze([0, 0, 500, 500]), hits=HITS)
    assert mind_of(cut).cropless
    refused = play(begun(max_images=1), gaze([0, 0, 500, 500]))
    assert mind_of(refused).cropless
    assert not mind_of(play(begun(), gaze([0, 0, 500, 500]), hits=HITS)).cropless


def mind_of(episode: Episode) -> Any:
    """A mind without eyes."""
    state = PlannerState.__new__(PlannerState)
    state.dialogue = read(episode)
    return state


@pytest.mark.parametrize("frame", [Frame.PER_MILLE, Frame.FRACTION, Frame.PIXELS])
def test_a_proposal_has_the_frame_and_the_number_that_are_asked_for(world: World, frame: Frame) -> None:
    scene, image = world.scene("gaze", 0)
    prompt = render("propose/regions", limit=2, frame_text=FRAME_TEXT[frame], question=scene.question).text
    assert frame_of(prompt) is frame
    message = Message(role="user", content=(ImagePart(image=image.sha256), TextPart(text=prompt)))
    regions = json.loads(Planner(world.images, 1.0).reply(ChatRequest((message,))).message.text)["regions"]
    assert len(regions) == 2
    limit = max(to_frame(Box(0, 0, 1, 1), EpisodeSettings(frame=frame).spec, image.width, image.height))
    assert all(max(region["bbox_2d"]) <= limit for region in regions)
    assert any(max(region["bbox_2d"]) > limit / 4 for region in regions)


JUDGED = {"question": "What is its capital?", "answers": "Nairobi | Nairobi City"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("verify/answer", '{"verdict": "correct"}', '{"verdict": "wrong"}'),
        ("judge/peers", "<judge>Yes</judge>", "<judge>No</judge>"),
        ("judge/simplevqa", '{"grade": "correct"}', '{"grade": "incorrect"}'),
        ("judge/livevqa", "A", "B"),
    ],
)
def test_a_judge_reads_question_answers_and_candidate(world: World, name: str, right: str, wrong: str) -> None:
    answers = '"Nairobi" OR "Nairobi City"' if name == "judge/livevqa" else JUDGED["answers"]
    for candidate, verdict in (("Nairobi", right), ("Nairobi City", right), ("Lagos", wrong)):
        prompt = render(name, question=JUDGED["question"], answers=answers, candidate=candidate).text
        reply = Planner(world.images, 1.0).reply(ChatRequest((Message(role="user", content=prompt),)))
        assert reply.message.text.startswith(verdict)


@pytest.mark.parametrize(("evidence", "grounded"), [("The capital is Nairobi.", "true"), ("A park.", "false")])
def test_a_judge_reads_the_evidence(world: World, evidence: str, grounded: str) -> None:
    prompt = render("verify/grounding", question="Which?", candidate="Nairobi", evidence=evidence).text
    reply = Planner(world.images, 1.0).reply(ChatRequest((Message(role="user", content=prompt),)))
    assert reply.message.text == f'{{"grounded": {grounded}}}'


@pytest.mark.parametrize("judged", [None, *Reflection])
@pytest.mark.parametrize(
    ("action", "name"),
    [('gaze {"bbox_2d": [1, 2, 300, 400], "image": 0}', "gaze"), ("image_search {}", "image_search"), ("answer", "")],
)
def test_a_note_for_a_planned_turn(world: World, action: str, name: str, judged: Reflection | None) -> None:
    """The call that it asks for is made, and the thought begins with the judgement that it asks for."""
    scene, image = world.scene("gaze", 0)
    settings = EpisodeSettings()
    episode = start(settings, scene.question, [image], system_prompt(settings, teacher=True)[0])
    if judged is not None:
        episode = play(episode, called("image_search"), hits=HITS)
    words = str(judged or "").replace("_", " ")
    note = render(
        "compose/turn", action=action, after_evidence=judged is not None, reflection=words, answer=not name
    ).text
    messages = (*episode.messages, Message(role="user", content=note))
    message = Planner(world.images, 1.0).reply(ChatRequest(messages)).message
    assert [call.function.name for call in message.tool_calls] == [name] * bool(name)
    assert bool(message.text) is (not name)
    if judged is not None:
        assert (message.reasoning_content or "").startswith(f"Evidence: {words}.")
    if name == "gaze":
        assert '"bbox_2d": [1, 2, 300, 400]' in message.tool_calls[0].function.arguments


def test_a_screening_pass_is_answered_without_tools(world: World) -> None:
    scene, image = world.scene("gaze", 0)
    settings = EpisodeSettings()
    messages = start(settings, scene.question, [image], render("screen/answer").text).messages
    message = Planner(world.images, 1.0).reply(ChatRequest(messages, offered_tools(settings))).message
    assert message.text.startswith("<answer>")
    assert not message.tool_calls
