"""`vllm:` with a stand-in for its executable: real processes, a real server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages

import gog.transforms.services.models.server_process as child_module
from gog.schemas import Message
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.http import close_client
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.server_process import ChildError, ChildModel, ChildServer
from gog.transforms.services.models.starting import starts
from gog.transforms.services.models.vllm import VllmSettings, serve_arguments, vllm_model, vllm_server
from gog.transforms.services.protocols import ChatRequest
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

STANDIN = Path(__file__).parents[3] / "standin_vllm.py"
QUESTION = ChatRequest((Message(role="user", content="hi"),))
MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"

Make = Callable[..., ChildModel]


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    """The stand-in as an executable."""
    path = tmp_path / "bin" / "vllm"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{STANDIN}' \"$@\"\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def make(tmp_path: Path, executable: Path) -> Iterator[Make]:
    """Makes models of a lake of their own, and ends their servers."""
    made: list[ChildServer] = []

    def model(*args: str, revision: str = "", **changes: Any) -> ChildModel:
        values = {"executable": str(executable), "args": args, "start_s": 20.0} | changes
        serving, settings = VllmSettings.model_validate(values), ModelSettings(revision=revision)
        made.append(vllm_server(MODEL, revision, serving, tmp_path / "logs"))
        return vllm_model(MODEL, MemoryImages(), settings, serving, tmp_path / "logs")

    yield model
    for server in made:
        server.stop()


def ask(*models: ChildModel, times: int = 1) -> list[dict[str, Any]]:
    """What the stand-in says of itself, for each question."""

    async def go() -> list[dict[str, Any]]:
        try:
            replies = await asyncio.gather(*(model.complete(QUESTION) for model in models for _ in range(times)))
            return [json.loads(reply.message.text) for reply in replies]
        finally:
            await close_client()

    return asyncio.run(go())


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process ends in time."""
    last = time.monotonic() + within_s
    while time.monotonic() < last:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def ended(server: ChildServer) -> None:
    """Wait until the server is known to have ended."""
    while server.alive:
        time.sleep(0.02)


def test_arguments() -> None:
    settings = VllmSettings(args=("--max-model-len", "32768"), images=6, reasoning_parser="qwen3")
    arguments = serve_arguments(MODEL, 8123, settings, "main")
    assert arguments[:2] == ["serve", MODEL]
    text = " ".join(arguments)
    for part in (
        "--host 127.0.0.1 --port 8123",
        f"--served-model-name {MODEL}",
        "--generation-config vllm",
        '--limit-mm-per-prompt {"image": 6}',
        "--revision main",
        "--enable-auto-tool-choice --tool-call-parser hermes",
        "--reasoning-parser qwen3",
    ):
        assert part in text
    assert arguments[-2:] == ["--max-model-len", "32768"]
    plain = serve_arguments(MODEL, 1, VllmSettings(tool_parser=""))
    assert not {"--revision", "--enable-auto-tool-choice", "--reasoning-parser"} & set(plain)


def test_one_server_answers_all_questions_of_the_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERPER_API_KEY", "GOG_DETECTOR_KEY"):
        monkeypatch.setenv(name, "planted")
    one, other = make("--x"), make("--x")
    told = ask(one, other, times=4)
    assert len({reply["pid"] for reply in told}) == 1
    assert told[0]["arguments"][:2] == ["serve", MODEL]
    assert not {"SERPER_API_KEY", "GOG_DETECTOR_KEY"} & set(told[0]["names"])
    assert one.id == MODEL
    assert ask(make("--x", revision="2"))[0]["pid"] != told[0]["pid"], "another revision is another model"


def test_nothing_is_started_before_the_first_question(make: Make, tmp_path: Path) -> None:
    model = make("--y")
    assert MODEL in repr(model)
    assert not (tmp_path / "logs").exists()


def test_a_server_that_does_not_start_says_why(make: Make, tmp_path: Path) -> None:
    model = make("--fail")
    with pytest.raises(ChildError) as caught:
        ask(model)
    said = str(caught.value)
    assert "exit code 1" in said
    assert "loading the weights / ValueError: no GPU / found here" in said
    assert "\n" not in said
    log = next((tmp_path / "logs").iterdir())
    assert str(log) in said
    with pytest.raises(ChildError, match="exit code 1"):
        ask(model)
    assert log.read_text().count("loading the weights") == 1, "it is not started for every question"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "memory does not suffice: lower --max-m",
        ),
        ("ValueError: No available memory for the cache blocks.", "memory does not suffice: lower --max-m"),
        ("OSError: [Errno 98] Address already in use", "port was taken by another program: start again"),
    ],
)
def test_a_server_that_does_not_start_for_a_known_cause_says_what_to_do(make: Make, text: str, told: str) -> None:
    with pytest.raises(ChildError) as caught:
        ask(make("--dies-of", text))
    said = str(caught.value)
    assert told in said
    assert text in said
    assert "\n" not in said


@pytest.mark.parametrize("known", [True, False])
def test_the_error_that_vllm_ended_with_is_told_however_far_above_the_last_lines_it_stands(
    make: Make, known: bool
) -> None:
    """As vLLM writes it: each process tells of the failure of the one below, with its stack."""
    why = "to serve, KV cache is needed, which is larger than there is" if known else "no such layer"
    stack = "".join(f"  File {'x' * 90}, line {number}\n" for number in range(60))
    place = "(EngineCore pid=7) ERROR 11-30 10:42:41 [core.py:1510]"
    last = "RuntimeError: Engine core initialization failed. See root cause above."
    with pytest.raises(ChildError) as caught:
        ask(make("--dies-of", f"{place} ValueError: {why}\n{stack}{last}"))
    said = str(caught.value)
    assert f".log: ValueError: {why} / exiting" in said
    assert ("memory does not suffice" in said) is known


def test_a_start_that_takes_long_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_module, "_SAY_S", 0.5)
    shown = []
    monkeypatch.setattr(child_module, "_healthy", lambda port: shown.append(starts()))
    with pytest.raises(ChildError, match="not up after"):
        ask(make("--never-up", start_s=1.8))
    assert any(line.endswith(" s: loading the weights") for line in shown), "what progress shows"
    assert starts() == ""
    told = [record.getMessage() for record in caplog.records if "is starting" in record.getMessage()]
    assert 1 <= len(told) <= 3
    assert all(line.startswith(f"vllm:{MODEL} is starting, ") for line in told)
    assert told[-1].endswith(" s: loading the weights")


def test_of_a_line_of_vllms_the_text_is_told() -> None:
    lines = [
        "(Worker pid=22767) INFO 11-30 10:17:57 [default_loader.py:501] Loading weights took 0.01 seconds",
        "INFO 11-30 10:17:57 [__init__.py:5] Loading weights took 0.01 seconds",
        "Loading weights took 0.01 seconds",
    ]
    assert {child_module._PREFIX.sub("", line) for line in lines} == {"Loading weights took 0.01 seconds"}


def test_a_killed_server_is_started_again_by_the_next_question_of_a_rollout(make: Make) -> None:
    """Not by the door's `ready` alone: a call that is tried again within the door goes to the new one."""
    model = make("--y")

    async def go() -> list[int]:
        pids = []
        try:
            for _ in range(2):
                pids.append(json.loads((await model.complete(QUESTION)).message.text)["pid"])
                os.kill(pids[-1], signal.SIGKILL)
                await asyncio.to_thread(ended, model._server())
        finally:
            await close_client()
        return pids

    assert len(set(asyncio.run(go()))) == 2


def test_calls_wait_for_a_killed_server_that_starts_longer_than_they_are_tried_again(
    make: Make, tmp_path: Path
) -> None:
    """Of all models that ask it, also those that did not start it again."""
    one, other = make("--slow", "2"), make("--slow", "2")
    assert one._server() is other._server()

    async def go() -> set[int]:
        door = Gateway(store, retry=Retry(attempts=3, initial_s=0.3, longest_s=0.3))
        try:
            first = [json.loads((await model.complete(QUESTION)).message.text)["pid"] for model in (one, other)]
            os.kill(first[0], signal.SIGKILL)
            asked = [replace(QUESTION, sample_index=index) for index in range(6)]
            calls = [door.chat(model, request, "test") for request in asked for model in (one, other)]
            replies = await asyncio.gather(*calls)
            return {json.loads(reply.message.text)["pid"] for reply in replies} | set(first)
        finally:
            await close_client()

    with Store(tmp_path / "store", Mode.LIVE) as store:
        assert len(asyncio.run(go())) == 2


def test_a_killed_server_is_known_to_have_ended_at_once_whatever_it_leaves_behind(make: Make, tmp_path: Path) -> None:
    """As vLLM leaves its engine, which takes its time."""
    child = tmp_path / "child"
    model = make("--deaf", "--child", str(child))
    os.kill(ask(model)[0]["pid"], signal.SIGKILL)
    assert gone(int(child.read_text()), 2.0)
    ended(model._server())


def test_an_executable_that_is_not_there(make: Make) -> None:
    with pytest.raises(ChildError, match=r"exit code 127.*/no/such/vllm: No such file or directory"):
        ask(make(executable="/no/such/vllm"))


def test_a_server_that_does_not_come_up_is_ended(make: Make, tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(ChildError, match=r"not up after 1\.5 s"):
        ask(make("--never-up", "--child", str(child), start_s=1.5))
    assert gone(int(child.read_text()))


def test_a_server_that_ended_is_started_again_but_not_for_ever(make: Make, tmp_path: Path) -> None:
    model = make("--ends-after", "1")
    with Store(tmp_path / "store", Mode.LIVE) as store:

        async def go() -> list[int]:
            door, seen = Gateway(store), []
            try:
                for _ in range(child_module.MOST_STARTS):
                    reply = await door.chat(model, QUESTION, "test")
                    seen.append(json.loads(reply.message.text)["pid"])
                    await asyncio.to_thread(ended, model._server())
                with pytest.raises(ChildError, match="ended by itself 3 times"):
                    await door.chat(model, QUESTION, "test")
            finally:
                await close_client()
            return seen

        assert len(set(asyncio.run(go()))) == child_module.MOST_STARTS


def test_the_door_waits_for_the_server_longer_than_for_an_answer(make: Make, tmp_path: Path) -> None:
    """Loading weights takes minutes: no timeout of a call, and no retry, is spent on it."""
    with Store(tmp_path / "store", Mode.LIVE) as store:

        async def go() -> None:
            door = Gateway(store, retry=Retry(timeout_s=0.5))
            model, real = make("--z"), ChildModel.ready

            async def slow() -> None:
                await asyncio.sleep(0.7)
                await real(model)

            model.ready = slow  # type: ignore[method-assign]
            try:
                assert (await door.chat(model, QUESTION, "test")).finish_reason == "stop"
                assert door.statistics.calls == 1
            finally:
                await close_client()

        asyncio.run(go())


@pytest.mark.parametrize("deaf", [False, True])
def test_the_end_takes_all_that_the_server_started(
    make: Make, tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "GRACE_S", 0.5)
    child, args = tmp_path / "child", ["--deaf"] if deaf else []
    model = make("--child", str(child), *args)
    pid = ask(model)[0]["pid"]
    model._server().stop()
    assert gone(pid, 1.0)
    assert gone(int(child.read_text()), 1.0)


PARENT = """
import asyncio, sys, time
from pathlib import Path
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.starting import starts
from gog.transforms.services.models.vllm import VllmSettings, vllm_server
server = vllm_server("m", "", VllmSettings(executable=sys.argv[1], args=("--child", sys.argv[2])), Path(sys.argv[3]))
server.base()
print("up", flush=True)
if sys.argv[4] == "wait":
    time.sleep(600)
"""


@pytest.mark.parametrize("way", ["end", "kill"])
def test_the_server_ends_with_its_parent_however_that_ends(tmp_path: Path, executable: Path, way: str) -> None:
    child = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, str(executable), str(child), str(tmp_path / "logs")]
    with subprocess.Popen(
        [*command, "wait" if way == "kill" else "end"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        if way == "kill":
            parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        assert gone(int(child.read_text()))
