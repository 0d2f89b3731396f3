"""What a preview prints of an episode; results come from evidence, never from the text that the model reads."""

import asyncio
import io
from pathlib import Path

from episodes import several
from fakes import FakeSearch, ScriptedPolicy, Told, answered, called, hit, seed_of, services
from rich.console import Console
from several_pictures import regions_of
from several_pictures import seed_of as seed_of_several

from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.rehearse.transcript import Teller
from gog.schemas import FailureClass, Hit
from gog.transforms.episode.driver import Driven, drive, speaker
from gog.transforms.episode.machine import EpisodeSettings, offered_tools, start
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.episode.trajectory import images_of
from gog.transforms.services.protocols import Sampling, ServiceError
from gog.transforms.synthesize.propose import Proposed

SETTINGS = EpisodeSettings(max_turns=4)


def printed(
    folder: Path, script: list[Told], results: tuple[Hit, ...] | ServiceError, calls_per_turn: int = 1
) -> tuple[list[str], Driven]:
    """The lines of an attempt, without their margins."""
    limits = SETTINGS.model_copy(update={"calls_per_turn": calls_per_turn})
    out = io.StringIO()
    on_turn = Teller(Console(file=out, width=100)).attempt(0, 2, "rollout")
    policy = ScriptedPolicy(list(script))
    with services(folder, policy, text=FakeSearch(lambda _: results)) as (world, images):
        seed = seed_of(images)
        tools = EpisodeTools(world.gateway, world.text_search, world.image_search, world.cropper, 5)
        speak = speaker(world.gateway, policy, Sampling(0.5), 0, offered_tools(limits), "hash", "episode")
        driven = asyncio.run(drive(start(limits, seed.question, images_of(seed), ""), speak, tools, on_turn))
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip()], driven


def test_turns_and_their_results_as_they_happen(tmp_path: Path) -> None:
    script: list[Told] = [
        called("text_search", {"query": "capital of Kenya"}, think="I search."),
        called("fly", {"to": "Nairobi"}),
        answered("Nairobi", think="Evidence: useful."),
    ]
    results = tuple(
        hit(title, score=score) for title, score in [("A | score 0.01 | x", 0.9), ("B", None), ("C", 0.1), ("D", 0)]
    )
    lines, _ = printed(tmp_path, script, results)
    assert lines == [
        "Attempt 1 of 2 (rollout)",
        "turn 1 I search.",
        'text_search(query="capital of Kenya")',
        "0.90 A | score 0.01 | x",
        "- B",
        "0.10 C",
        "and 1 more",
        lines[7],
        lines[8],
        "turn 3 Evidence: useful.",
        "answer Nairobi",
    ]
    assert lines[7] == 'turn 2 fly(to="Nairobi")'
    assert lines[8].startswith("error Error: There is no tool")


def test_results_are_not_read_off_what_the_model_is_shown(tmp_path: Path) -> None:
    script: list[Told] = [called("text_search", {"query": "x"}), answered("[1] y | score 0.5 | z")]
    lines, driven = printed(tmp_path, script, ())
    assert lines[1:] == ['turn 1 text_search(query="x")', "found nothing", "answer [1] y | score 0.5 | z"]
    assert driven.failure is None


def test_a_tool_that_fails_leaves_the_turn(tmp_path: Path) -> None:
    script: list[Told] = [called("text_search", {"query": "x"}, think="I search.")]
    lines, driven = printed(tmp_path, script, ServiceError(FailureClass.AUTH, "no key"))
    assert lines[1:] == ["turn 1 I search.", 'text_search(query="x")']
    assert driven.failure is not None


def test_calls_of_a_turn_are_told_one_after_the_other(tmp_path: Path) -> None:
    asked = [called("text_search", {"query": word}) for word in ("a", "b", "c")]
    turn = several(*asked).model_copy(update={"reasoning_content": "I search."})
    script: list[Told] = [turn, answered("x", think="Evidence: useful.")]
    lines, _ = printed(tmp_path, script, (hit("A", score=0.9),), calls_per_turn=2)
    assert lines[1:] == [
        "turn 1.1 I search.",
        'text_search(query="a")',
        "0.90 A",
        "error several_calls",
        'turn 1.2 text_search(query="b")',
        'text_search(query="c")',
        "0.90 A",
        "Not done: at most 2 calls a turn.",
        "turn 2 Evidence: useful.",
        "answer x",
    ]


def test_regions_are_in_pixels_of_the_picture_that_they_are_on(tmp_path: Path) -> None:
    for pictures, size, places in (
        (1, "400 x 300 pixels", ["1 in pixels: [80, 180, 160, 240] region on 0 0.50"]),
        (
            2,
            "400 x 300 and 300 x 400 pixels",
            ["2 in pixels: image 0 [80, 180, 160, 240] region on 0 0.50; image 1 [60, 240, 120, 320] region on 1 0.50"],
        ),
    ):
        out = io.StringIO()
        teller = Teller(Console(file=out, width=200))
        seed = seed_of_several(pictures, ImageFiles(tmp_path))
        teller.seed(seed, 1, 1)
        teller.regions(Proposed(tuple(regions_of(seed)), ()), seed)
        assert size in out.getvalue()
        assert all(place in " ".join(out.getvalue().split()) for place in places)
