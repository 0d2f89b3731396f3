"""Keys: they reach the services, and nothing else. The services here repeat the key in whatever they answer."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from runs import atlas, write_config

from gog.pipelines.config.config import Config
from gog.transforms.services.store.rows import unpack

MODEL_KEY, SEARCH_KEY, DETECTOR_KEY = "planted-model-4f1c9e", "planted-search-77ab03", "planted-detector-c02d5a"
KEYS = (MODEL_KEY, SEARCH_KEY, DETECTOR_KEY)


class Echo:
    """An endpoint for every service: it fails in turns, telling the key that it was sent."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Half of the answers are failures that hold the key."""
        sent = " ".join([*request.headers.values(), request.query_string])
        self.seen |= {key for key in KEYS if key in sent}
        self.asked += 1
        told = next((key for key in KEYS if key in sent), "no key")
        if self.asked % 2:
            return web.json_response({"error": {"message": f"rejected {told}"}}, status=(400, 401, 500)[self.asked % 3])
        if request.path.endswith("/detect"):
            return web.json_response({"detections": [{"box": [0, 0, 1, 1], "label": told}]})
        # Longer than the store keeps as it is, so that what is compressed is looked into.
        content = f"<answer>my key is {told}</answer>{' and so on' * 300}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 3}})


@contextmanager
def echoing() -> Iterator[tuple[Echo, str]]:
    """The endpoint on a thread of its own, and its address."""
    echo, up = Echo(), threading.Event()
    place: list[Any] = []

    async def serve() -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", echo.answer)
        done = asyncio.Event()
        async with TestServer(app) as server:
            place.extend((str(server.make_url("")).rstrip("/"), asyncio.get_running_loop(), done))
            up.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield echo, place[0]
    finally:
        place[1].call_soon_threadsafe(place[2].set)
        thread.join(10)


def processes() -> str:
    """Command lines of every process that may be seen."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def held(path: Path) -> bytes:
    """What is in a file, with what is compressed in it unpacked."""
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()).encode()
    if path.suffix != ".sqlite":
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
    return repr([[_plain(value) for value in row] for row in rows]).encode()


def _plain(value: Any) -> Any:
    try:
        return unpack(value)
    except (ValueError, zlib.error):
        return value


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the list of processes is read from /proc")
def test_a_planted_key_is_in_no_file_log_error_or_process_list(tiny: Config, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(Path(tiny.lake) / "indexes", lake / "indexes")
    with echoing() as (echo, address):
        config = atlas(
            lake,
            count=6,
            shard_size=6,
            teacher=f"{address}/v1#echo",
            judge=f"{address}/v1#echo",
            models={"echo": {"key_env": "ECHO_KEY"}},
            detector=f"{address}/detect",
            retry={"attempts": 2, "initial_s": 0.01},
        )
        path = write_config(config, tmp_path / "echo.yaml")
        environment = os.environ | {
            "ECHO_KEY": MODEL_KEY,
            "SERPER_API_KEY": SEARCH_KEY,
            "GOG_DETECTOR_KEY": DETECTOR_KEY,
        }
        said, listed = "", ""
        for command in (("doctor",), ("run",), ("status",), ("store", "stats")):
            call = [sys.executable, "-m", "gog.pipelines.cli.main", *command, "-c", str(path)]
            with subprocess.Popen(
                call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as child:
                listed += processes()
                said += child.communicate(timeout=120)[0]
                listed += processes()
    assert echo.asked > 20, said
    assert echo.seen == {MODEL_KEY, DETECTOR_KEY}, "the services of this run were sent their keys"
    assert "rejected ***" in said, "failures are told, without the key"
    contents = {path: path.read_bytes() + held(path) for path in tmp_path.rglob("*") if path.is_file()}
    kept = b"".join(contents.values())
    assert b"my key is ***" in kept, "answers are kept, without the key"
    for key in KEYS:
        assert key not in said
        assert key not in listed
        assert [path for path, holds in contents.items() if key.encode() in holds] == []
