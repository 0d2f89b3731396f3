"""`gog retry`: only the rejects of a reason; what was answered is not asked again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import Gog, Place, contents, place
from runs import calls

from gog.pipelines.config.config import Config, load_config
from gog.pipelines.connect import addresses, services
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.context import Context
from gog.pipelines.steps.retry import count_rejects, forget_rejected
from gog.schemas import FailureClass, Message
from gog.transforms.atlas.planner.policy import Planner
from gog.transforms.open_set import OpenSet
from gog.transforms.services.protocols import ChatReply, ChatRequest, ServiceError
from gog.transforms.synthesize import judge


class Flaky:
    """A planner that fails for one kind of request, until it is well."""

    def __init__(self, planner: Planner, failure: FailureClass, fails: Callable[[ChatRequest], bool]) -> None:
        self._planner, self._failure, self._fails = planner, failure, fails
        self.id = planner.id

    async def complete(self, request: ChatRequest) -> ChatReply:
        """A reply, or the failure."""
        if self._fails(request):
            raise ServiceError(self._failure, "it is not well")
        return await self._planner.complete(request)


class Mute:
    """A planner that judges without saying anything of it."""

    def __init__(self, planner: Planner) -> None:
        self.id = planner.id

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Words that are no verdict."""
        return ChatReply(Message(role="assistant", content="That is hard to say."))


def second_rollout(request: ChatRequest) -> bool:
    """Whether it is a request of attempt 1 with tools."""
    return bool(request.tools) and request.sample_index == 1


@pytest.fixture
def failing(tmp_path: Path, finished: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[FailureClass], Place]:
    """A run whose teacher fails at every second rollout; ingested and screened as the finished one."""

    def make(failure: FailureClass) -> Place:
        made = place(tmp_path, retry={"attempts": 1, "timeout_s": 60}, store={"mode": "record"})
        shutil.copytree(finished.lake / "indexes", made.lake / "indexes")

        def open_at(providers: OpenSet[Any], address: str, config: Config, **places: Any) -> Any:
            service = addresses.open_at(providers, address, config, **places)
            return Flaky(service, failure, second_rollout) if address == "planner:skill=0.85" else service

        monkeypatch.setattr(services, "open_at", open_at)
        return made

    return make


@pytest.fixture
def muted(tmp_path: Path, finished: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A run, not yet begun, whose judge says nothing that can be read."""
    made = place(tmp_path, retry={"attempts": 1, "timeout_s": 60}, store={"mode": "record"})
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")

    def open_at(providers: OpenSet[Any], address: str, config: Config, **places: Any) -> Any:
        service = addresses.open_at(providers, address, config, **places)
        return Mute(service) if address == config.judge else service

    monkeypatch.setattr(services, "open_at", open_at)
    return made


def test_after_the_judge_has_changed_it_is_asked_anew(
    gog: Gog, muted: Place, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "MOST_UNREAD", 1 << 20)
    done = gog("run", "-c", muted.config)
    assert "verify.unknown" in done.out + done.err
    before = count_rejects(Lake(muted.lake), "tiny", ["verify.unknown"])["verify.unknown"]
    assert before > 3
    again = gog("retry", "--reason", "verify.unknown", "-c", muted.config)
    assert f"{before} before, {before} left; what had no verdict was asked anew" in again.out
    reopened(monkeypatch, muted)
    done = gog("retry", "--reason", "verify.unknown", "-c", muted.config)
    assert done.out == f"verify.unknown: {before} before, 0 left\n"
    assert contents(muted.run) == contents(finished.run), "as if nothing had happened"
    bought, _ = calls(load_config(muted.config))
    assert gog("run", "-c", muted.config).code == 0
    assert calls(load_config(muted.config))[0] == bought


def test_a_judge_that_cannot_be_read_stops_the_run_and_nothing_is_lost(
    gog: Gog, muted: Place, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "MOST_UNREAD", 4)
    for _ in range(2):
        done = gog("run", "-c", muted.config)
        assert done.code == 1
        assert "gave 4 replies in a row without a verdict: 'That is hard to say.'" in done.error
        assert "everything is kept, once `gog doctor` finds it well, the same command goes on" in done.error
        stopped = json.loads(gog("status", "-c", muted.config, "--json").out)
        assert stopped["state"] == "stopped"
        assert all(line["balanced"] for line in stopped["funnel"])
        assert count_rejects(Lake(muted.lake), "tiny", ["judge.ill"])["judge.ill"] > 0
        # What was refused after the stop is no call, here or in the line of a run.
        asked = [line for line in stopped["spend"] if line["kind"] == "chat"]
        assert all(line["failed"] == 0 for line in asked), asked
        assert stopped["calls"] == sum(line["calls"] - line["from_store"] for line in stopped["spend"])
        assert "failed" not in done.err
        assert "stopped; `gog run` goes on once this is mended: the judge" in gog("status", "-c", muted.config).out
    reopened(monkeypatch, muted)
    done = gog("run", "-c", muted.config)
    assert "replies in a row" not in done.err
    # What left in shards that were finished before the stop waits for a retry.
    assert gog("retry", "--reason", "verify.unknown", "--reason", "label.unknown", "-c", muted.config).code == 0
    assert contents(muted.run) == contents(finished.run), "as if nothing had happened"


def reopened(monkeypatch: pytest.MonkeyPatch, made: Place) -> None:
    """The teacher is well again, in services that are opened anew: another timeout is another config."""
    monkeypatch.undo()
    made.config.write_text(made.config.read_text().replace("timeout_s: 60", "timeout_s: 61"))


def test_what_failed_for_the_time_being_is_asked_again_and_nothing_else(
    gog: Gog, failing: Callable[[FailureClass], Place], finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = failing(FailureClass.TIMEOUT)
    assert gog("run", "-c", made.config).code == 0
    before = count_rejects(Lake(made.lake), "tiny", ["teacher.timeout"])["teacher.timeout"]
    assert before > 0
    reopened(monkeypatch, made)
    done = gog("retry", "--reason", "teacher.timeout", "-c", made.config)
    assert done.code == 0, done.err
    assert done.out == f"teacher.timeout: {before} before, 0 left\n"
    assert contents(made.run) == contents(finished.run), "as if nothing had happened"
    assert calls(load_config(made.config))[0] == calls(load_config(finished.config))[0] + before


def test_what_the_store_keeps_is_not_asked_again(
    gog: Gog, failing: Callable[[FailureClass], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = failing(FailureClass.REFUSED)
    assert gog("run", "-c", made.config).code == 0
    reopened(monkeypatch, made)
    made_before, _ = calls(load_config(made.config))
    done = gog("retry", "--reason", "teacher.refused", "-c", made.config, "--json")
    (line,) = json.loads(done.out)["reasons"]
    assert line["before"] == line["left"] > 0
    assert calls(load_config(made.config))[0] == made_before
    assert "the store keeps refusals" in gog("retry", "--reason", "teacher.refused", "-c", made.config).out


def test_without_a_config_the_runs_own_is_taken(gog: Gog, copied: Place, finished: Place) -> None:
    done = gog("retry", "--reason", "verify.wrong", "--reason", "teacher.timeout", "--lake", copied.lake)
    assert done.code == 1
    assert "nothing was asked" in done.err
    wrong, timeout = sorted(done.out.splitlines(), reverse=True)
    assert wrong.startswith("verify.wrong: ")
    assert wrong.endswith("so they come out the same")
    assert timeout == "teacher.timeout: the run 'tiny' has none"
    assert contents(copied.run) == contents(finished.run)


def test_nothing_is_done_where_there_is_nothing_to_retry(gog: Gog, copied: Place) -> None:
    before = (copied.run / "manifest.json").stat().st_mtime_ns
    assert gog("retry", "--reason", "teacher.timeout", "--lake", copied.lake).code == 1
    assert (copied.run / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("reason", "said"),
    [("teacher.timout", "teacher.timeout"), ("curate.not_best", "a decision"), ("x", "is no reason")],
)
def test_wrong_reasons(gog: Gog, finished: Place, reason: str, said: str) -> None:
    done = gog("retry", "--reason", reason, "--lake", finished.lake)
    assert done.code == 2
    assert said in done.error


def test_rows_are_ingested_anew_when_their_pictures_are_there(gog: Gog, tmp_path: Path, finished: Place) -> None:
    from gog.transforms.atlas.rows import atlas_row

    photos = tmp_path / "photos"
    photos.mkdir()
    lines = []
    for index in range(3):
        row = atlas_row(0, index)
        if index:
            (photos / f"{index}.jpg").write_bytes(row.image)
        lines.append({"question": row.question, "answers": list(row.answers), "image": f"{index}.jpg"})
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    mapping = {"question": "question", "answers": ["answers"], "image": "image"}
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "dataset": "d", "image_root": str(photos)}
    made = place(tmp_path, shard_size=1, source=source | {"mapping": mapping})
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    assert gog("run", "-c", made.config).code == 0
    (photos / "0.jpg").write_bytes(atlas_row(0, 0).image)
    done = gog("retry", "--reason", "ingest.image_unreadable", "-c", made.config)
    assert done.out == "ingest.image_unreadable: 1 before, 0 left\n"
    assert len(list(Lake(made.lake).read_rows("tiny", "seeds"))) == 3
    assert len(list(Lake(made.lake).read_rows("tiny", "screenings"))) == 3


def test_only_shards_that_hold_the_reason_are_forgotten(copied: Place) -> None:
    lake = Lake(copied.lake)
    context = Context(load_config(copied.config), lake)
    by_shard = {
        shard: sum(row["reason"] == "verify.wrong" for row in lake.read_rows("tiny", "rejects", "synthesize", shard))
        for shard in (0, 1)
    }
    wanted = sorted(shard for shard, count in by_shard.items() if count)
    assert forget_rejected(context, frozenset({"teacher.timeout"})) == []
    assert forget_rejected(context, frozenset({"verify.wrong"}), ["label"]) == []
    assert context.missing("synthesize", [0, 1]) == []
    assert forget_rejected(context, frozenset({"verify.wrong"})) == wanted
    assert context.missing("synthesize", [0, 1]) == wanted
