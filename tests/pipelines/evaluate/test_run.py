"""An evaluation in a lake: what is asked, what is kept, how it goes on."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import published
import pytest
from fakes import FakeSearch, ScriptedPolicy, Told, answered, called, hit, said, services

from gog.pipelines.config.config import Config, ConfigError, parse_config
from gog.pipelines.connect.services import close_stores
from gog.pipelines.evaluate import run
from gog.pipelines.evaluate.results import results_of, write_results
from gog.pipelines.evaluate.run import Bench, Evaluated, Evaluation, JudgeError
from gog.pipelines.lake.lake import LakeError
from gog.schemas import FailureClass, Message
from gog.transforms.evaluate.answered import Answered
from gog.transforms.evaluate.items import BenchmarkError
from gog.transforms.evaluate.paradigms import Paradigm
from gog.transforms.evaluate.protocols.scores import Grade, ProtocolError
from gog.transforms.images import ImageLimits
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError
from gog.transforms.services.search.fetched_images import Fetch, FetchedImages
from gog.transforms.services.store.records import Mode
from gog.transforms.synthesize.judge import MOST_UNREAD

YES = Message(role="assistant", content="<judge>Yes</judge>\nso.")
ONE = (Paradigm.DIRECT,)
DOWN = ServiceError(FailureClass.AUTH, "no")


def always(told: Told) -> Callable[[ChatRequest], Told]:
    return lambda _: told


@dataclass
class TriedJudge(ScriptedPolicy):
    """A judge that is well when it is tried; of all else it says what its script says."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The trial's answer is right where it names Paris twice."""
        text = request.messages[0].text
        if "capital of France" in text:
            return ChatReply(said('{"verdict": "correct"}' if text.count("Paris") > 1 else '{"verdict": "wrong"}'))
        return await super().complete(request)


@dataclass
class World:
    """A lake, and evaluations in it whose services are fakes."""

    folder: Path
    patch: pytest.MonkeyPatch
    policy: ScriptedPolicy = field(default_factory=lambda: ScriptedPolicy(always(answered("Tower 1"))))
    judge: ScriptedPolicy = field(default_factory=lambda: TriedJudge(always(YES), "judge:1"))
    search: FakeSearch = field(default_factory=lambda: FakeSearch(lambda _: (hit("Tower 1"),), "search:1"))
    mode: Mode = Mode.LIVE
    budget: Budget | None = None
    judge_all: bool = False
    panel: tuple[ScriptedPolicy, ...] = ()
    config: Config = field(default_factory=Config)

    def evaluation(self, name: str = "eval", policy: str = "planner:skill=0.5") -> Evaluation:
        config = self.config.model_copy(update={"lake": str(self.folder / "lake")})
        return Evaluation(config, policy, name, judge_all=self.judge_all)

    def run(self, bench: Bench, paradigms: tuple[Paradigm, ...] = ONE, **options: Any) -> Evaluated:
        """One session."""
        with ExitStack() as stack:
            fakes = services(
                self.folder / "fakes",
                text=self.search,
                image=self.search,
                judge=self.judge,
                mode=self.mode,
                budget=self.budget,
            )
            world, _ = stack.enter_context(fakes)
            self.patch.setattr(run, "services_for", lambda _: replace(world, labeller=self.policy, panel=self.panel))
            evaluation = self.evaluation()
            stack.enter_context(evaluation.begun())
            return evaluation.run(bench, paradigms, **options)

    @property
    def asked(self) -> tuple[int, int]:
        """Requests to the policy and to the judge so far."""
        return len(self.policy.requests), len(self.judge.requests)

    def journal(self, bench: Bench, paradigm: Paradigm = Paradigm.DIRECT) -> Path:
        return self.folder / "lake" / "evals" / "eval" / "answers" / f"{bench.name}.{bench.split}-{paradigm}.jsonl"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield World(tmp_path, monkeypatch)
    close_stores()


@pytest.fixture
def fvqa(tmp_path: Path) -> Bench:
    """Five rows; the answers are `Tower 0` to `Tower 4`."""
    path = published.table(tmp_path / "fvqa_test.parquet", [published.fvqa_row(n) for n in range(5)])
    return Bench.parse(f"fvqa={path}")


def grades(evaluated: Evaluated, paradigm: Paradigm = Paradigm.DIRECT) -> list[str]:
    rows = evaluated.answered[paradigm]
    return [rows[key].item.judged.grade.value for key in sorted(rows)]


@pytest.mark.parametrize(
    ("text", "bench"),
    [
        ("atlas", Bench("atlas", "", "held-out")),
        ("fvqa=a.parquet", Bench("fvqa", "a.parquet", "test")),
        ("livevqa:News=x/y=z:1", Bench("livevqa", "x/y=z:1", "News")),
    ],
)
def test_a_benchmark_by_name_split_and_path(text: str, bench: Bench) -> None:
    assert Bench.parse(text) == bench


@pytest.mark.parametrize(
    ("text", "said"), [("vqa", "is no benchmark"), ("livevqa:Sport=x", "no split 'Sport'"), ("", "is no benchmark")]
)
def test_what_names_no_benchmark(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Bench.parse(text)


def test_every_item_is_answered_scored_and_kept(world: World, fvqa: Bench) -> None:
    heard: list[tuple[int, int]] = []
    found = world.run(fvqa, told=lambda done, failed: heard.append((done, failed)))
    assert grades(found) == ["correct"] * 5
    assert heard == [(n, 0) for n in range(1, 6)]
    assert world.asked == (5, 4), "one of the five is an exact match"
    kept = [Answered.model_validate_json(line) for line in world.journal(fvqa).read_text("utf-8").splitlines()]
    assert {row.item_id for row in kept} == set(found.answered[Paradigm.DIRECT])
    assert (found.unsettled, found.left, found.dropped) == (0, 0, {})


def test_the_policy_is_asked_greedily_and_without_hints_whatever_the_labeller_is(world: World, fvqa: Bench) -> None:
    world.config = parse_config({"label": {"rollout": {"temperature": 0.9, "hints": True, "max_tokens": 700}}})
    world.run(fvqa, (Paradigm.DIRECT, Paradigm.POLICY))
    assert {request.sampling.temperature for request in world.policy.requests} == {0.0}
    assert "hint" not in world.policy.heard.lower()
    assert {request.sampling.max_tokens for request in world.policy.requests} == {700}


def test_a_second_session_asks_nobody(world: World, fvqa: Bench) -> None:
    first = world.run(fvqa, (Paradigm.DIRECT, Paradigm.POLICY))
    asked, kept = world.asked, world.journal(fvqa).read_bytes()
    second = world.run(fvqa, (Paradigm.DIRECT, Paradigm.POLICY))
    assert second == first
    assert world.asked == asked
    assert world.journal(fvqa).read_bytes() == kept


def test_a_limit_takes_the_first_items_and_a_higher_one_goes_on(world: World, fvqa: Bench) -> None:
    assert world.evaluation().check(fvqa, 2) == len(world.run(fvqa, limit=2).answered[Paradigm.DIRECT]) == 2
    assert world.asked[0] == 2
    assert world.evaluation().check(fvqa, 99) == len(world.run(fvqa).answered[Paradigm.DIRECT]) == 5
    assert world.asked[0] == 5
    assert len(world.run(fvqa, limit=3).answered[Paradigm.DIRECT]) == 3
    assert world.asked[0] == 5


@pytest.mark.parametrize(("cut", "asked"), [(1, 5), (2, 6), (400, 6)])
def test_a_kill_in_the_middle_of_a_line_costs_that_item(world: World, fvqa: Bench, cut: int, asked: int) -> None:
    whole, journal = world.run(fvqa), world.journal(fvqa)
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert world.run(fvqa) == whole
    assert world.asked[0] == asked, "a line without its end is whole"
    assert world.run(fvqa) == whole
    assert world.asked[0] == asked, "what came after the torn line is read"


def test_lines_that_are_none_are_passed_over(world: World, fvqa: Bench) -> None:
    whole, journal = world.run(fvqa), world.journal(fvqa)
    journal.write_bytes(b'\xff\x00garbage\n{"benchmark": 1}\n[]\n\n' + journal.read_bytes())
    assert world.run(fvqa) == whole
    assert world.asked[0] == 5


def test_a_question_that_changed_is_asked_again(world: World, fvqa: Bench) -> None:
    world.run(fvqa)
    rows = [published.fvqa_row(n) for n in range(5)]
    rows[3] |= {"prompt": [{"content": "<image>Which bridge is it?", "role": "user"}]}
    published.table(Path(fvqa.path), rows)
    found = world.run(fvqa)
    assert world.asked[0] == 6
    assert len(found.answered[Paradigm.DIRECT]) == 5


def test_a_failing_policy_is_unknown_and_asked_again(world: World, fvqa: Bench) -> None:
    world.policy.script = always(DOWN)
    found = world.run(fvqa)
    assert grades(found) == ["unknown"] * 5
    assert found.unsettled == 5
    world.policy.script = always(answered("Tower 1"))
    assert world.run(fvqa).unsettled == 0


def test_a_failing_search_is_unknown_and_asked_again(world: World, fvqa: Bench) -> None:
    world.policy.script = lambda request: (
        answered("Tower 1") if request.messages[-1].role == "tool" else called("image_search")
    )
    world.search.find = lambda _: DOWN
    found = world.run(fvqa, (Paradigm.POLICY,), limit=1)
    (row,) = found.answered[Paradigm.POLICY].values()
    assert (row.item.failure, row.item.judged.grade, found.unsettled) == ("search.failed", Grade.UNKNOWN, 1)
    world.search.find = lambda _: (hit("Tower 1"),)
    assert world.run(fvqa, (Paradigm.POLICY,), limit=1).unsettled == 0


def test_a_failing_judge_is_unknown_and_asked_again(world: World, fvqa: Bench) -> None:
    world.judge.script = always(DOWN)
    found = world.run(fvqa)
    assert sorted(grades(found)) == ["correct", *["unknown"] * 4]
    world.judge.script = always(YES)
    assert grades(world.run(fvqa)) == ["correct"] * 5
    assert world.asked[0] == 9, "the one that needed no judge is not asked again"


def test_a_judge_that_was_cut_off_has_said_nothing(world: World, fvqa: Bench) -> None:
    world.judge.script = always(ChatReply(YES, "length"))
    found = world.run(fvqa)
    assert sorted(grades(found)) == ["correct", *["unknown"] * 4]
    assert "thinking_tokens" in found.why


def test_a_ceiling_leaves_the_rest_for_later(world: World, fvqa: Bench) -> None:
    world.budget, world.mode = Budget(max_calls=3), Mode.RECORD
    found = world.run(fvqa)
    settled = len(found.answered[Paradigm.DIRECT])
    assert settled + found.left == 5
    assert found.left
    assert "max_calls" in found.why
    assert found.unsettled == 0
    world.budget = None
    again = world.run(fvqa)
    assert (grades(again), again.left) == (["correct"] * 5, 0)
    assert world.asked == (5, 4), "what was bought before the ceiling came from the store"


def test_a_replay_goes_on_past_what_it_misses(world: World, fvqa: Bench) -> None:
    world.mode = Mode.RECORD
    world.run(fvqa, limit=2)
    world.journal(fvqa).unlink()
    world.mode = Mode.REPLAY
    found = world.run(fvqa)
    assert (len(found.answered[Paradigm.DIRECT]), found.left) == (2, 3)
    assert world.asked[0] == 2


def test_another_question_needs_another_name(world: World) -> None:
    with world.evaluation().begun():
        pass
    with world.evaluation().begun():
        pass
    with pytest.raises(ConfigError, match="another policy: choose another --name"):
        world.evaluation(policy="planner:skill=0.9").begun().__enter__()
    world.config = Config(text_search="corpus:elsewhere", window=3)
    with pytest.raises(ConfigError, match="another text_search: "):
        world.evaluation().begun().__enter__()
    (world.folder / "lake" / "evals" / "eval" / "manifest.json").write_text("[")
    with pytest.raises(ConfigError, match="damaged"):
        world.evaluation().begun().__enter__()


def test_two_at_once_do_not_write_to_one_evaluation(world: World) -> None:
    with world.evaluation().begun(), pytest.raises(LakeError, match="written by another process"):
        world.evaluation().begun().__enter__()


@pytest.mark.parametrize("name", ["../up", "", "a/b", "x" * 59])
def test_a_name_is_a_name(world: World, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for an evaluation"):
        world.evaluation(name)


def test_items_without_an_image_are_told_as_left_out(world: World, tmp_path: Path) -> None:
    rows = [published.mmsearch_row(n, pictured=n != 1) for n in range(3)]
    path = published.mmsearch(tmp_path / "end2end.parquet", rows)
    found = world.run(Bench("mmsearch", str(path), "all"))
    assert (len(found.answered[Paradigm.DIRECT]), found.dropped) == (2, {"no_image": 1})


def test_what_the_official_protocol_cannot_score_costs_nothing(world: World, tmp_path: Path) -> None:
    rows = published.infoseek_rows()
    rows[1]["answer_eval"] = [{"wikidata": None, "range": []}]
    rows[1]["answer"] = ["many"]
    path = published.infoseek(tmp_path / "infoseek")
    published.lines(path, rows)
    bench = Bench.parse(f"infoseek={path}")
    assert world.evaluation().check(bench) == 2
    found = world.run(bench)
    assert len(found.answered[Paradigm.DIRECT]) == 2
    assert sum(found.dropped.values()) == 2
    assert world.asked[0] == 2


def test_what_is_not_installed_is_told_before_anything_is_asked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gog.transforms.evaluate.benchmarks import dynvqa

    monkeypatch.setitem(sys.modules, "jieba", None)
    dynvqa._jieba.cache_clear()
    rows = published.dynvqa_rows()
    path = published.lines(tmp_path / "DynVQA_zh.202412.jsonl", rows)
    world.patch.setattr(run, "fetched_images", lambda _: fetching(tmp_path, {}))
    with pytest.raises(ProtocolError, match="pip install jieba"):
        world.evaluation().check(Bench("dynvqa", str(path), "all"))


def test_files_that_are_not_as_published_are_told_before_anything_is_asked(world: World, tmp_path: Path) -> None:
    path = published.table(tmp_path / "fvqa_test.parquet", [{"question": "?"}])
    with pytest.raises(BenchmarkError, match="fvqa"):
        world.evaluation().check(Bench("fvqa", str(path), "test"))
    with pytest.raises(BenchmarkError, match="not bundled"):
        world.evaluation().check(Bench("fvqa", "", "test"))


def fetching(folder: Path, pictures: dict[str, bytes], asked: list[str] | None = None) -> FetchedImages:
    """A web of these pictures, and nothing else."""

    def make(limits: ImageLimits, timeout_s: float) -> Fetch:
        async def fetch(url: str) -> bytes:
            if asked is not None:
                asked.append(url)
            if url not in pictures:
                raise ServiceError(FailureClass.NETWORK, "no such host")
            return pictures[url]

        return fetch

    return FetchedImages(folder / "fetched", retry=Retry(attempts=2, initial_s=0.0, longest_s=0.0), make_fetch=make)


def test_pictures_at_addresses_are_fetched_once_and_those_that_are_gone_are_told(world: World, tmp_path: Path) -> None:
    rows = published.dynvqa_rows()
    path = published.lines(tmp_path / "DynVQA_en.202412.jsonl", rows)
    asked: list[str] = []
    web = {rows[0]["image_url"]: published.picture(0), rows[2]["image_url"]: published.picture(2)}
    world.patch.setattr(run, "fetched_images", lambda _: fetching(tmp_path, web, asked))
    bench = Bench("dynvqa", str(path), "all")
    assert world.evaluation().check(bench) == 3
    found = world.run(bench)
    assert len(found.answered[Paradigm.DIRECT]) == 2
    assert found.dropped == {"image_unavailable": 1}
    assert sorted(asked) == sorted([*web, rows[1]["image_url"], rows[1]["image_url"]]), "twice for the one that fails"
    asked.clear()
    assert len(world.run(bench).answered[Paradigm.DIRECT]) == 2
    assert set(asked) == {rows[1]["image_url"]}


def test_with_a_limit_no_more_pictures_are_fetched_than_are_needed(world: World, tmp_path: Path) -> None:
    rows = [{**published.dynvqa_rows()[0], "question_id": f"en{n}", "image_url": f"https://h/{n}"} for n in range(40)]
    path = published.lines(tmp_path / "DynVQA_en.202412.jsonl", rows)
    asked: list[str] = []
    web = {f"https://h/{n}": published.picture(n % 5) for n in range(2, 40)}
    world.patch.setattr(run, "fetched_images", lambda _: fetching(tmp_path, web, asked))
    found = world.run(Bench("dynvqa", str(path), "all"), limit=2)
    assert len(found.answered[Paradigm.DIRECT]) == 2
    assert found.dropped == {"image_unavailable": 2}
    assert len(set(asked)) < 20, "the first two, which nobody has, and one batch more"


def test_an_id_that_no_file_can_hold_costs_itself(world: World, tmp_path: Path) -> None:
    folder = published.livevqa(tmp_path / "livevqa", rows=1)
    file = folder / "News" / "benchmark.json"
    rows = json.loads(file.read_text("utf-8"))
    rows[0]["id"] = "half a pair: \ud800"
    file.write_text(json.dumps(rows), "utf-8")
    bench = Bench("livevqa", str(folder), "News")
    letter = Message(role="assistant", content="A")
    world.judge.script = lambda request: letter if "letter alone" in request.messages[0].text else YES
    assert world.run(bench) == world.run(bench)
    assert world.asked[0] == 2
    (row, _) = world.run(bench).answered[Paradigm.DIRECT].values()
    assert "half a pair: \ufffd" in row.item.item_id


def test_with_judge_all_an_opinion_that_is_missing_is_asked_for_again(world: World, fvqa: Bench) -> None:
    world.judge_all, world.judge.script = True, always(DOWN)
    assert world.run(fvqa).unsettled == 5
    world.judge.script = always(YES)
    found = world.run(fvqa)
    assert found.unsettled == 0
    assert {row.item.opinion for row in found.answered[Paradigm.DIRECT].values()} == {Grade.CORRECT}


def test_results_add_up_over_sessions(world: World, fvqa: Bench, tmp_path: Path) -> None:
    rows = [published.mmsearch_row(n) for n in range(2)]
    other = Bench("mmsearch", str(published.mmsearch(tmp_path / "end2end.parquet", rows)), "images")
    for bench, paradigms in ((fvqa, ONE), (other, ONE), (fvqa, (Paradigm.POLICY,))):
        part = world.run(bench, paradigms)
        write_results(world.evaluation(), results_of(world.evaluation(), [part]))
    found = json.loads((world.folder / "lake" / "evals" / "eval" / "results.json").read_text("utf-8"))
    assert {name: list(part["paradigms"]) for name, part in found["benchmarks"].items()} == {
        "fvqa": ["direct", "policy"],
        "mmsearch": ["direct"],
    }
    assert list(found["average"]) == ["direct"]
    assert found["average"]["direct"]["benchmarks"] == ["fvqa", "mmsearch"]


REAL = os.environ.get("GOG_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="GOG_REAL_DATA is not set: it names a folder of published seed rows")
def test_real_rows_go_through_all_of_it(world: World) -> None:
    bench = Bench.parse(f"livevqa:News={REAL}/livevqa")
    world.judge.script = always(Message(role="assistant", content="B"))
    found = world.run(bench, limit=5)
    assert len(found.answered[Paradigm.DIRECT]) == 5
    assert {row.item.official.grade for row in found.answered[Paradigm.DIRECT].values()} == {Grade.INCORRECT}


def test_an_ill_judge_stops_the_evaluation_and_what_it_said_is_asked_anew(world: World, tmp_path: Path) -> None:
    path = published.table(tmp_path / "many.parquet", [published.fvqa_row(n) for n in range(MOST_UNREAD + 6)])
    bench, world.mode, world.config = Bench.parse(f"fvqa={path}"), Mode.RECORD, Config(window=1)
    world.judge.script = always(Message(role="assistant", content="Hard to say."))
    found = world.run(bench)
    assert found.left > 0
    assert "20 replies in a row without a verdict: 'Hard to say.'" in found.why
    assert found.unsettled == MOST_UNREAD
    world.judge.script = always(YES)
    again = world.run(bench)
    assert (set(grades(again)), again.left, again.unsettled) == ({"correct"}, 0, 0)
    assert world.asked[0] == MOST_UNREAD + 6, "answers were kept"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (YES, "asked whether Paris is the capital of France, it says nothing that can be read"),
        (said('{"verdict": "correct"}'), "asked whether Berlin is the capital of France, it says right"),
        (DOWN, "does not answer"),
    ],
)
def test_a_judge_that_is_no_judge_is_found_before_anything_is_asked(
    world: World, fvqa: Bench, told: Told, found: str
) -> None:
    well, world.judge = world.judge, ScriptedPolicy(always(told), "judge:2")
    with pytest.raises(JudgeError, match=found):
        world.run(fvqa)
    assert world.policy.requests == []
    world.judge = well
    world.run(fvqa)
    world.judge = ScriptedPolicy(always(told), "judge:2")
    assert world.run(fvqa).unsettled == 0, "where nothing is left to ask, nobody is tried"


def test_most_of_a_panel_grade_an_answer(world: World, fvqa: Bench) -> None:
    no = Message(role="assistant", content="<judge>No</judge>")
    world.panel = (TriedJudge(always(no), "judge:2"), TriedJudge(always(YES), "judge:3"))
    found = world.run(fvqa)
    assert grades(found) == ["correct"] * 5
    (judged,) = {row.item.judged.judge for row in found.answered[Paradigm.DIRECT].values() if row.item.judged.judge}
    assert judged == "judge:1, judge:2, judge:3"


def test_a_panel_that_ties_leaves_the_answer_unknown(world: World, fvqa: Bench) -> None:
    world.panel = (TriedJudge(always(Message(role="assistant", content="<judge>No</judge>")), "judge:2"),)
    assert sorted(grades(world.run(fvqa))) == ["correct", *["unknown"] * 4]
