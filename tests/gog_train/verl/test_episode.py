"""How verl's rollouts are played and paid, without verl: the shared episode, and a scripted policy."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSearch, picture
from rolling import answer, call, services

from gog.schemas import FailureClass, Outcome
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ServiceError
from gog.transforms.verify.judge import JudgeQuestion, JudgeReply
from gog_train.environment import Ending, Rollout
from gog_train.judge_health import FEW, JudgeIllError
from gog_train.rewards.scoring import Scored
from gog_train.rewards.terms import RewardSettings, Term
from gog_train.settings import TrainingError
from gog_train.verl.episode import Block, Home, LoopSettings, paid, seed_of

EPISODE = EpisodeSettings(max_turns=6).in_frame(BACKBONES["qwen3-vl"].spec)
GOLD = {
    "question": "What is the capital?",
    "answers": ["Nairobi"],
    "answer_type": "string",
    "answer_unit": "",
    "answer_low": None,
    "answer_high": None,
}
GAZE = call("gaze", bbox_2d=[100, 100, 500, 900], label="the flag", image=0)
NESTED = call("gaze", bbox_2d=[0, 0, 500, 500], image=1)
SEARCH = call("text_search", query="capital of Kenya")
WRONG = call("gaze", bbox_2d=[900, 900, 1, 1])
ZERO = RewardSettings(unsettled="zero")


def row_of(image: str = "images/a.png", split: str = "train") -> dict[str, Any]:
    """A row of an export, as verl hands it to an agent loop."""
    begun = {"images": [image], "seed_id": "seed-1", "split": split}
    ground = {"style": "rule", "ground_truth": json.dumps(GOLD)}
    return {"reward_model": ground, "extra_info": begun, "global_steps": 3, "session_id": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(picture(640, 480))
    return tmp_path


class Script:
    """A policy that says these turns, and hears so many times."""

    def __init__(self, turns: Iterable[str | Ending], room: int = 99) -> None:
        self._turns, self._room = iter(turns), room
        self.heard: list[tuple[str, list[Block]]] = []

    async def say(self) -> str | Ending:
        await asyncio.sleep(0)
        return next(self._turns)

    async def hear(self, told: Sequence[tuple[str, list[Block]]]) -> bool:
        self.heard += told
        self._room -= 1
        return self._room >= 0


def texts(blocks: Sequence[Block]) -> str:
    return "\n".join(block["text"] for block in blocks if block["type"] == "text")


def pixels(blocks: Sequence[Block]) -> list[bytes]:
    return [block["image"].tobytes() for block in blocks if block["type"] == "image"]


def played(home: Home, turns: Iterable[str | Ending], room: int = 99) -> tuple[Rollout, Script, Scored]:
    async def go() -> tuple[Rollout, Script, Scored]:
        script = Script(turns, room)
        with home.rollout(row_of()) as rollout:
            await home.play(rollout, script)
            return rollout, script, await home.score(rollout)

    return asyncio.run(go())


class TestPlaying:
    def test_a_policy_is_told_what_the_episode_tells_it(self, folder: Path) -> None:
        turns = [GAZE, NESTED, "I do not know.", WRONG, SEARCH]
        with services(folder / "store") as made:
            rollout, script, _ = played(Home(folder, EPISODE, made, opened=True), [*turns, answer("Nairobi")])
            other = Rollout(GOLD | {"files": [picture(640, 480)]}, made.tools, made.images, EPISODE)
            told = [message for turn in turns for message in run_on_loop(other.turn("<think>\n" + turn))]
            assert [role for role, _ in script.heard] == [message.role for message in told]
            assert {role for role, _ in script.heard} == {"tool", "user"}
            assert [texts(blocks) for _, blocks in script.heard] == [texts(other.blocks(message)) for message in told]
            assert [pixels(blocks) for _, blocks in script.heard] == [pixels(other.blocks(message)) for message in told]
            assert rollout.episode.steps[:-1] == other.episode.steps
            assert (rollout.ending, rollout.episode.strikes, len(rollout.episode.images)) == (Ending.ANSWERED, 2, 3)

    def test_a_call_that_is_no_json_is_a_strike_and_no_end(self, folder: Path) -> None:
        with services(folder / "store") as made:
            turns = ["<tool_call>\n{gaze}\n</tool_call>", answer("Nairobi")]
            rollout, script, scored = played(Home(folder, EPISODE, made), turns)
            assert "Error" in texts(script.heard[0][1])
            assert (rollout.ending, rollout.episode.strikes) == (Ending.ANSWERED, 1)
            assert (scored.values["accuracy"], scored.values["format"]) == (1.0, 0.0)

    @pytest.mark.parametrize(
        ("turns", "room", "ending"),
        [
            ([GAZE, Ending.OVERLONG], 99, Ending.OVERLONG),
            ([GAZE], 0, Ending.OVERLONG),
            ([Ending.BROKEN], 99, Ending.BROKEN),
            ([WRONG] * 3, 99, Ending.STRIKES),
            ([GAZE, SEARCH] * 3, 99, Ending.OUT_OF_TURNS),
        ],
    )
    def test_one_that_has_no_answer(self, folder: Path, turns: list[Any], room: int, ending: Ending) -> None:
        with services(folder / "store") as made:
            rollout, _, scored = played(Home(folder, EPISODE, made), turns, room)
            assert rollout.ending is ending
            policy = ending in (Ending.BROKEN, Ending.STRIKES)
            assert scored.reward == (0.0 if policy else None)
            assert (paid(rollout, scored, RewardSettings(), held_out=False) is None) == (not policy)
            left = paid(rollout, scored, RewardSettings(), held_out=True)
            assert left is not None
            assert (left["score"], left["acc"], left["masked"]) == (0.0, 0.0, float(not policy))

    def test_rollouts_at_once_do_not_mix_and_afterwards_their_images_are_forgotten(self, folder: Path) -> None:
        boxes = ([0, 0, 400, 400], [500, 500, 900, 900])

        async def both(home: Home) -> list[Script]:
            async def one(box: list[int]) -> Script:
                script = Script([call("gaze", bbox_2d=box, image=0), answer("Nairobi")])
                with home.rollout(row_of()) as rollout:
                    await home.play(rollout, script)
                return script

            return list(await asyncio.gather(*map(one, boxes)))

        with services(folder / "store") as made:
            home = Home(folder, EPISODE, made)
            scripts = asyncio.run(both(home))
            assert len({crop for script in scripts for crop in pixels(script.heard[0][1])}) == 2
            assert home.playing == []
            kept = made.images.put(b"left over", "png")
            with home.rollout(row_of()):
                assert not made.images.has(kept)
                kept = made.images.put(b"in use", "png")
                with home.rollout(row_of()):
                    assert made.images.has(kept)

    def test_images_are_forgotten_where_there_is_always_a_rollout_that_is_played(self, folder: Path) -> None:
        """As where weights are trained while rollouts wait for searches."""
        with services(folder / "store") as made:
            home, images = Home(folder, EPISODE, made), made.images
            with ExitStack() as first, ExitStack() as second:
                first.enter_context(home.rollout(row_of()))
                names = {text: images.put(text.encode(), "png") for text in ("first's", "both's")}
                second.enter_context(home.rollout(row_of()))
                assert images.read(names["both's"]) == b"both's"
                names["second's"] = images.put(b"second's", "png")
                first.close()
                with home.rollout(row_of()):
                    there = {text for text, name in names.items() if images.has(name)}
                    assert there == {"both's", "second's"}

    @pytest.mark.parametrize("name", ["images/none.png", "../../etc/passwd", "/etc/passwd"])
    def test_an_image_that_is_not_in_the_export(self, folder: Path, name: str) -> None:
        with services(folder / "store") as made:
            home = Home(folder, EPISODE, made)
            with pytest.raises(TrainingError, match="copy the whole folder"), home.rollout(row_of(name)):
                pass
            assert home.playing == []


SHORT = Term("short", lambda rollout: None if rollout.answer is None else len(rollout.answer) / 100)


class TestPay:
    def test_is_by_terms_and_counts(self, folder: Path) -> None:
        term = f"{__name__}:SHORT"
        reward = RewardSettings(0.25, 0.125, {term: 2.0})
        with services(folder / "store") as made:
            rollout, _, scored = played(Home(folder, EPISODE, made, reward), [SEARCH, GAZE, answer("Nairobi")])
            parts = paid(rollout, scored, reward, held_out=False)
            assert parts is not None
            assert (parts["acc"], parts["format"], parts["searches"], parts["unsettled"]) == (1.0, 1.0, 2.0, 0.0)
            assert (parts["score"], parts[term]) == pytest.approx((1.0 - 0.25 + 0.14, 0.07))
            silent = played(Home(folder, EPISODE, made, reward), ["I do not know."] * 3)
            assert (silent[2].masked, paid(silent[0], silent[2], reward, held_out=False)) == ("term", None)

    @pytest.mark.parametrize(("reward", "score"), [(RewardSettings(), None), (ZERO, 0.1)])
    def test_an_answer_that_nobody_settles(self, folder: Path, reward: RewardSettings, score: float | None) -> None:
        with services(folder / "store") as made:
            home = Home(folder, EPISODE, replace(made, judge=None), reward)
            rollout, _, scored = played(home, [answer("Mombasa")])
            parts = paid(rollout, scored, reward, held_out=False)
            assert (parts and parts["score"]) == (pytest.approx(score) if score else None)
            assert scored.unsettled

    def test_a_search_that_failed_is_no_wrong_answer(self, folder: Path) -> None:
        def down(query: str) -> Any:
            raise ServiceError(FailureClass.AUTH, "no key")

        with services(folder / "store", text=FakeSearch(down, id="down:1")) as made:
            rollout, _, scored = played(Home(folder, EPISODE, made), [SEARCH])
            assert (rollout.ending, scored.masked) == (Ending.TOOL_FAILED, "tool")
            assert paid(rollout, scored, RewardSettings(), held_out=False) is None

    def test_a_judge_that_is_down_masks_and_then_ends_the_training(self, folder: Path) -> None:
        async def down(question: JudgeQuestion) -> JudgeReply:
            raise ServiceError(FailureClass.NETWORK, "no route")

        with services(folder / "store", judge=down) as made:
            home = Home(folder, EPISODE, made)
            for _ in range(FEW - 1):
                rollout, _, scored = played(home, [answer("The city in the south")])
                assert (scored.masked, paid(rollout, scored, RewardSettings(), held_out=False)) == ("judge", None)
            assert played(home, [answer("Nairobi")])[2].outcome is Outcome.CORRECT, "the rules settle it"
            with pytest.raises(JudgeIllError, match="answered 0% of its last 20 questions"):
                played(home, [answer("The city in the south")])


def test_each_turn_has_a_seed_of_its_own() -> None:
    rows = [
        row_of() | {"extra_info": {"seed_id": seed}, "global_steps": step, "session_id": number}
        for seed, step, number in product(("seed-1", "seed-2"), (1, 2), (0, 1))
    ]
    seeds = [seed_of(row, turn) for row in rows for turn in (0, 1)]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [seed_of(row, turn) for row in rows for turn in (0, 1)]
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_settings_of_the_recipe_say_what_is_not_there() -> None:
    assert LoopSettings.model_validate({"rewards": {"gaze": None}}).of_reward().more == {"gaze": None}
    with pytest.raises(ValueError, match="lambda"):
        LoopSettings.model_validate({"lambda": 0.1})
