"""Endpoints of others at the command line: a set-up that is wrong stops at once, and heals."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from calling import Gog, Place, contents, place
from misbehaving import Answer, Misbehaving, misbehaving

from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.retry import FAILURES, count_rejects


def run_at(server: Misbehaving, folder: Path, finished: Place, **changes: Any) -> Place:
    """A run, not yet begun, whose teacher is behind the server."""
    made = place(folder, teacher=server.address(), retry={"initial_s": 0.01, "longest_s": 0.02}, **changes)
    shutil.copytree(finished.lake / "indexes", made.lake / "indexes")
    return made


def error(message: str, code: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "param": None} | more}


WRONG: dict[str, Answer] = {
    "a gateway without its database": (400, error("No connected db.", "400", type="no_db_connection")),
    "an unknown model": (404, error("The model `x` does not exist", "model_not_found")),
    "no key, in a 200": error("No auth credentials found", 401),
    "a server that is down": (500, error("out of memory", None)),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_set_up_stops_after_a_few_calls_and_heals(
    gog: Gog, tmp_path: Path, finished: Place, answer: Answer
) -> None:
    with misbehaving(lambda request, body: answer) as server:
        made = run_at(server, tmp_path, finished)
        done = gog("run", "-c", made.config)
        assert done.code == 1
        assert "gog: set-up: " in done.err
        assert "everything is kept, once `gog doctor` finds it well, the same command goes on" in done.err
        assert len(server.bodies) <= 40
        with sqlite3.connect(made.lake / "store" / "store.sqlite") as store:
            permanent = store.execute(
                "SELECT count(*) FROM answers WHERE failure IN ('bad_request', 'not_found', 'auth')"
            )
            assert permanent.fetchone() == (0,)
        server.manner = lambda request, body: None
        assert gog("run", "-c", made.config).code == 0
        assert (
            count_rejects(Lake(made.lake), "tiny", ["setup.wrong", "teacher.failed", "screen.teacher_failed"]).total()
            == 0
        )
        assert set(contents(made.run)) == set(contents(finished.run))


def test_what_failed_in_shards_before_the_stop_is_asked_again(gog: Gog, tmp_path: Path, finished: Place) -> None:
    """A stop takes five questions without an answer, and a seed has fewer: its shard is written with its failure."""
    with misbehaving(lambda request, body: (500, error("out of memory", None))) as server:
        made = run_at(server, tmp_path, finished, count=8, shard_size=1)
        assert gog("run", "-c", made.config).code == 1
        assert count_rejects(Lake(made.lake), "tiny", ["screen.teacher_failed"]).total() > 0
        assert not Lake(made.lake).part_path("tiny", "seeds", "ingest", 7).exists()
        server.manner = lambda request, body: None
        assert gog("run", "-c", made.config).code == 0
        assert count_rejects(Lake(made.lake), "tiny", FAILURES).total() == 0


def test_a_request_that_is_bad_by_itself_costs_one_call_and_is_kept(gog: Gog, tmp_path: Path, finished: Place) -> None:
    def manner(request: web.Request, body: dict[str, Any]) -> Answer:
        bad = body.get("tools") and body["seed"] == 1
        return (400, error("This picture is odd.", None)) if bad else None

    with misbehaving(manner) as server:
        made = run_at(server, tmp_path, finished)
        assert gog("run", "-c", made.config).code == 0
        failed = count_rejects(Lake(made.lake), "tiny", ["teacher.failed"])["teacher.failed"]
        assert failed > 0
        asked = len(server.bodies)
        # It was the endpoint's fault after all, and has been mended: a retry asks anew.
        server.manner = lambda request, body: None
        done = gog("retry", "--reason", "teacher.failed", "-c", made.config)
        assert (done.code, done.out) == (0, f"teacher.failed: {failed} before, 0 left\n")
        assert len(server.bodies) > asked


def test_a_key_that_expires_in_the_middle_stops_and_nothing_of_it_is_kept(
    gog: Gog, tmp_path: Path, finished: Place
) -> None:
    with misbehaving(lambda request, body: None) as server:
        answered = iter(range(20))
        server.manner = lambda request, body: None if next(answered, None) is not None else (400, error("Who?", None))
        made = run_at(server, tmp_path, finished, count=24, shard_size=24)
        done = gog("run", "-c", made.config)
        assert done.code == 1
        assert "the last 20 calls of" in done.err
        with sqlite3.connect(made.lake / "store" / "store.sqlite") as store:
            assert store.execute("SELECT count(*) FROM answers WHERE failure = 'bad_request'").fetchone() == (0,)


def test_a_retry_that_would_ask_nothing_says_what_to_type(gog: Gog, copied: Place) -> None:
    done = gog("retry", "--reason", "teacher.failed", "--lake", copied.lake)
    assert done.code == 1
    assert "nothing was asked: the run 'tiny' has nothing that failed outside" in done.err
    done = gog("retry", "--reason", "verify.wrong", "--lake", copied.lake, "--json")
    assert done.code == 1
    assert json.loads(done.out)["reasons"][0]["left"] > 0
    assert "gog run --run NAME --refresh chat" in done.err


def said(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 16}}


def searching(thought: str) -> dict[str, Any]:
    function = {"name": "text_search", "arguments": '{"query": "capital of Chad"}'}
    return said(thought, "tool_calls", tool_calls=[{"id": "a", "type": "function", "function": function}])


TEACHERS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "thinks too long": (said(None, "length"), "problem", "before it said anything", "thinking_tokens"),
    "has no parser": (said("I would look at it."), "problem", "neither calls a tool nor answers", "--tool-call-parser"),
    "has no form": (searching("I search."), "warning", "no `Evidence:` line", "synthesize.composed"),
    "ignores the note": (searching("Evidence: useful. I search."), "warning", "the note of a composed", "off_plan"),
}


@pytest.mark.parametrize(("answer", "state", "found", "advice"), TEACHERS.values(), ids=TEACHERS.keys())
def test_doctor_finds_a_teacher_that_does_not_keep_to_the_form(
    gog: Gog, tmp_path: Path, finished: Place, answer: dict[str, Any], state: str, found: str, advice: str
) -> None:
    with misbehaving(lambda request, body: answer) as server:
        made = run_at(server, tmp_path, finished)
        done = gog("doctor", "-c", made.config, "--json")
    (teacher,) = [check for check in json.loads(done.out) if check["name"] == "teacher"]
    assert teacher["state"] == state
    assert found in teacher["found"]
    assert advice in teacher["advice"]
    assert len(server.bodies) == 3


def test_preview_says_what_a_teacher_without_the_form_costs(gog: Gog, tmp_path: Path, finished: Place) -> None:
    answers = iter([said("<answer>Chad</answer>")] * 2)

    def manner(request: web.Request, body: dict[str, Any]) -> Answer:
        return next(answers, None) or (searching("I search.") if body.get("tools") else said("<answer>x</answer>"))

    with misbehaving(manner) as server:
        made = run_at(server, tmp_path, finished, synthesize={"rollouts": 1, "composed": 1})
        done = gog("preview", "-n", "2", "-c", made.config)
    assert done.code == 0, done.err
    assert "turns after a result do not say what it is worth" in " ".join(done.out.split())
    assert "composed attempts left their plan" in " ".join(done.out.split())


def test_preview_tells_a_teacher_that_forgets_the_form_now_and_then(gog: Gog, tmp_path: Path, finished: Place) -> None:
    """A third of its turns is enough: half of its composed attempts would leave."""
    turns = iter(range(1, 10_000))

    def manner(request: web.Request, body: dict[str, Any]) -> Answer:
        if not body.get("tools"):
            return said("<answer>x</answer>")
        return searching("I search." if next(turns) % 3 == 0 else "Evidence: useful. I search.")

    with misbehaving(manner) as server:
        made = run_at(server, tmp_path, finished, synthesize={"rollouts": 2, "composed": 0})
        done = gog("preview", "-n", "2", "-c", made.config)
    assert done.code == 0, done.err
    assert "turns after a result do not say what it is worth" in " ".join(done.out.split())
