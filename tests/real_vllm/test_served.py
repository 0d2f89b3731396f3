"""What a training saved, behind a real vLLM: it says what transformers says; a killed server is started again."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import MemoryImages
from real_vllm.asking import SETTINGS, ask, first_turns
from real_vllm.conftest import Tuned
from real_vllm.environment import EXECUTABLE, PYTHON, SERVED

import gog.transforms.services.models.server_process as child_module
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.http import close_client
from gog.transforms.services.models.checkpoint import CheckpointSettings, serve_command
from gog.transforms.services.models.server_process import ChildError, ChildModel, ChildServer
from gog.transforms.services.models.vllm import VllmSettings, vllm_model
from gog.transforms.services.protocols import Sampling
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]


def by_transformers(folder: Path, logs: Path, images: MemoryImages) -> list[str]:
    """What `gog_train.serve` says, greedily."""
    settings = CheckpointSettings(python=PYTHON)
    command = lambda port: serve_command(str(folder), port, settings, sys.executable)  # noqa: E731
    server = ChildServer(f"checkpoint:{folder}", command, logs, 900.0)
    try:
        return ask(server.base(), str(folder), images, first_turns(images))
    finally:
        server.stop()


def killed(server: ChildServer) -> None:
    """kill -9 of `vllm serve` itself, which a guard of ours holds."""
    assert server._guard is not None
    (pid,) = Path(f"/proc/{server._guard.pid}/task/{server._guard.pid}/children").read_text().split()
    os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def merged(tuned: Tuned, tmp_path: Path) -> Iterator[ChildModel]:
    """The merged model as the address `vllm:FOLDER` serves it."""
    serving = VllmSettings(executable=EXECUTABLE, args=SERVED)
    images = MemoryImages()
    model = vllm_model(str(tuned.merged), images, SETTINGS, serving, tmp_path / "logs")
    yield model
    model._server().stop()


def test_a_merged_model_says_what_transformers_say_and_one_that_is_killed_is_started_again(
    merged: ChildModel, tuned: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, server, name = MemoryImages(), merged._server(), str(tuned.merged)
    merged._images = images
    base = server.base()
    greedy = ask(base, name, images, first_turns(images))
    assert len(set(greedy)) > 1
    assert greedy == by_transformers(tuned.merged, tmp_path / "logs", images)

    drawn = [ask(base, name, images, first_turns(images, Sampling(1.5, 1.0, 60), index)) for index in (1, 1, 2)]
    assert drawn[0] == drawn[1], "the sample's number is the seed"
    assert drawn[0] != drawn[2]

    with Store(tmp_path / "store", Mode.LIVE) as store:
        door = Gateway(store)
        asked = [turn for index in range(4) for turn in first_turns(images, Sampling(2.0, 1.0, 3000), index)]

        async def in_the_middle() -> list[str]:
            calls = [asyncio.create_task(door.chat(merged, request, "test")) for request in asked]
            try:
                await asyncio.sleep(1.5)  # replies of a thousand random tokens take longer
                killed(server)
                return [(await one).finish_reason for one in calls]
            finally:
                await close_client()

        assert len(asyncio.run(in_the_middle())) == len(asked), "every call was answered"
        assert (server._starts, server.alive) == (2, True)
        assert ask(server.base(), name, images, first_turns(images)) == greedy

        monkeypatch.setattr(child_module, "MOST_STARTS", 2)

        async def for_good() -> None:
            try:
                killed(server)
                await door.chat(merged, first_turns(images, Sampling(1.5, 1.0, 60), 9)[0], "test")
            finally:
                await close_client()

        with pytest.raises(ChildError, match=r"ended by itself 2 times; see .*vllm-.*\.log: .+") as caught:
            asyncio.run(for_good())
        assert "\n" not in str(caught.value)


def test_an_adapter_is_served_by_the_command_that_training_prints(tuned: Tuned, taught: Path, tmp_path: Path) -> None:
    program, *printed = tuned.printed
    assert program == "vllm"
    command = lambda port: [EXECUTABLE, *printed, *SERVED, "--host", "127.0.0.1", "--port", str(port)]  # noqa: E731
    server, images = ChildServer("vllm:printed", command, tmp_path / "logs", 900.0), MemoryImages()
    try:
        base = server.base()
        by_adapter = ask(base, "gog", images, first_turns(images))
        by_base = ask(base, str(taught), images, first_turns(images))
    finally:
        server.stop()
    assert by_adapter != by_base
    assert by_adapter == by_transformers(tuned.adapter, tmp_path / "logs", images)
