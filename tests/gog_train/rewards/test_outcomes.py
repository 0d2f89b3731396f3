"""One verdict: what filters the data, what TRL's rollouts are paid and what verl's are paid is the same."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import verifying
from rolling import answer, rl_rows, row_of, seed, services
from verifying import Turn, make_seed, make_trajectory

from gog.schemas import AnswerType, Outcome, Seed
from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.services.loop import run_on_loop
from gog.transforms.verify.rules import check
from gog.transforms.verify.verdict import verdict
from gog_train.environment import Rollout
from gog_train.questions import GOLD
from gog_train.rewards.scoring import score
from gog_train.rewards.terms import RewardSettings, Unsettled
from gog_train.verl.episode import Home, paid

EPISODE = EpisodeSettings().in_frame(BACKBONES["qwen3-vl"].spec)
CASES = Path(verifying.__file__).with_name("transforms") / "verify" / "answers.jsonl"
OUTCOMES = {0.0: Outcome.WRONG, 1.0: Outcome.CORRECT}


def drawn(count: int) -> list[tuple[str, Seed]]:
    """Answers to questions of each type in turn: a case's own, another's of its type, an accepted form, a name."""
    cases = [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]
    draw, kinds, pairs = random.Random(13), list(AnswerType), []
    for number in range(count):
        case, alike = draw.choices([one for one in cases if one["type"] == kinds[number % len(kinds)]], k=2)
        others = (case["answer"], alike["answer"], draw.choice(case["gold"]), draw.choice(alike["gold"]), "Kenya", "12")
        gold = make_seed(
            *case["gold"],
            kind=AnswerType(case["type"]),
            unit=case.get("unit", ""),
            low=case.get("low"),
            high=case.get("high"),
        )
        pairs.append((draw.choice(others), gold))
    return pairs


async def filtered(text: str, gold: Seed) -> Outcome:
    trajectory = make_trajectory([Turn("So it is.")], answer=text)
    return (await verdict(trajectory, gold, {}, 1.0, None)).outcome


def by_trl(rollout: Rollout, unsettled: Unsettled) -> tuple[Outcome, bool]:
    scored = run_on_loop(score(rollout, None, RewardSettings(unsettled=unsettled)))
    accuracy = scored.values["accuracy"]
    return Outcome.UNKNOWN if accuracy is None else OUTCOMES[accuracy], scored.unsettled


def by_verl(home: Home, rollout: Rollout, unsettled: Unsettled) -> tuple[Outcome, bool]:
    reward = RewardSettings(unsettled=unsettled)
    parts = paid(rollout, asyncio.run(replace(home, reward=reward).score(rollout)), reward, held_out=False)
    return (Outcome.UNKNOWN, True) if parts is None else (OUTCOMES[parts["acc"]], bool(parts["unsettled"]))


def test_filter_trl_and_verl_give_one_verdict(tmp_path: Path) -> None:
    shown = row_of(rl_rows(EPISODE, [seed(width=64, height=48)]))
    outcomes: Counter[tuple[AnswerType, Outcome]] = Counter()
    with services(tmp_path / "store") as made:
        home = Home(tmp_path, EPISODE, replace(made, judge=None))
        for text, gold in drawn(1000):
            row = shown | {name: getattr(gold, name) for name in GOLD}
            wanted = check(text, gold)[0]
            outcomes[gold.answer_type, wanted] += 1
            unknown = wanted is Outcome.UNKNOWN
            assert asyncio.run(filtered(text, gold)) is wanted, (text, gold.answers)
            rollout = Rollout(row, made.tools, made.images, EPISODE)
            run_on_loop(rollout.turn(answer(text)))
            assert by_trl(rollout, "mask") == by_verl(home, rollout, "mask") == (wanted, unknown), text
            paid = Outcome.WRONG if unknown else wanted
            assert by_trl(rollout, "zero") == by_verl(home, rollout, "zero") == (paid, unknown), text
    settled_both_ways = {AnswerType.NUMBER, AnswerType.DATE, AnswerType.YES_NO}
    assert all(outcomes[kind, outcome] > 10 for kind in settled_both_ways for outcome in Outcome), outcomes
    assert all(outcomes[AnswerType.STRING, outcome] > 10 for outcome in (Outcome.CORRECT, Outcome.UNKNOWN)), outcomes
