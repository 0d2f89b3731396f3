"""`gog serve-tools`, driven by the official client: through a pipe, and through HTTP."""

import asyncio
import base64
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calling import Gog, place
from tiny_encoders import encoder_of_both

from gog.pipelines.config.config import load_config
from gog.pipelines.connect.tool_server import ServedTools, WrongCallError
from gog.transforms.atlas.rows import atlas_row
from gog.transforms.services.search.encoders_of import open_encoder
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.store.sqlite import Store

pytest.importorskip("mcp")
COMMAND = [sys.executable, "-m", "gog.pipelines.cli.main", "serve-tools"]


async def drive(server: Any) -> None:
    """What a client does: list, search, look, and call what is wrong."""
    from mcp import Client

    picture = base64.b64encode(atlas_row(0, 0).image).decode()
    async with Client(server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["text_search", "image_search", "gaze", "visit"]
        assert tools["gaze"].input_schema["required"] == ["bbox_2d", "image"]
        found = await client.call_tool("text_search", {"query": "capital of Kenya"})
        assert "Nairobi" in found.content[0].text
        glanced = await client.call_tool("image_search", {"image": picture})
        assert glanced.content[0].text.startswith("image_search found")
        gazed = await client.call_tool("gaze", {"image": picture, "bbox_2d": [0, 0, 500, 500]})
        assert [block.type for block in gazed.content] == ["text", "image"]
        assert gazed.content[1].mime_type == "image/jpeg"
        for name, wrong, said in [
            ("text_search", {}, "needs a query"),
            ("gaze", {"bbox_2d": [0, 0, 500, 500]}, "base64"),
            ("gaze", {"bbox_2d": [0, 0, 500, 500], "image": "no picture"}, "image"),
            ("gaze", {"bbox_2d": [9, 9, 9, 9], "image": picture}, "."),
            ("nobody", {}, "there is no tool"),
            ("visit", {"url": "http://169.254.169.254/latest"}, "visit read nothing"),
        ]:
            answer = await client.call_tool(name, wrong)
            assert said in answer.content[0].text, answer
            assert answer.is_error is (name != "visit")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tools = ["text_search", "image_search", "gaze", "visit", "look"]
    return place(tmp_path_factory.mktemp("served"), episode={"tools": tools}, pages="local:").config


def test_through_a_pipe(config: Path) -> None:
    from mcp import StdioServerParameters

    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "-c", str(config), "--stdio"])
    asyncio.run(asyncio.wait_for(drive(server), 120))
    with Store(config.parent / "lake" / "store") as store:
        tallied = {(one.kind, one.purpose) for one in store.tally("tiny")}
    assert {("text_search", "tools"), ("image_search", "tools")} <= tallied


@contextmanager
def listening(config: Path) -> Iterator[str]:
    command = [*COMMAND, "-c", str(config), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+/mcp", line := process.stdout.readline())
            assert found, line + process.communicate(timeout=20)[1]
            yield found[0]
            process.send_signal(signal.SIGINT)
            assert (process.communicate(timeout=20)[1], process.returncode) == ("", 0)
        except BaseException:
            process.kill()
            raise


def test_through_http_with_a_token(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    monkeypatch.setenv("GOG_TOOLS_TOKEN", "t0ken")

    async def go(address: str) -> None:
        async with httpx2.AsyncClient() as client:
            assert (await client.post(address, json={})).status_code == 401
            token = {"Authorization": "Bearer t0ken"}
            assert (await client.post(address, json={}, headers=token | {"Host": "evil.example"})).status_code == 421
            assert (await client.post(address, content=b"x" * (25 << 20), headers=token)).status_code in (400, 413, 415)
        async with httpx2.AsyncClient(headers=token) as client:
            await drive(streamable_http_client(address, http_client=client))

    with listening(config) as address:
        asyncio.run(asyncio.wait_for(go(address), 120))


def test_words_stand_in_the_place_of_a_picture_where_the_index_reads_them(tmp_path: Path) -> None:
    encoder = open_encoder(f"transformers:{encoder_of_both(tmp_path / 'model')}")
    data = atlas_row(0, 0).image
    build_gallery([("https://a/1", "Scene", "", data)], tmp_path / "index/gallery", encoder=encoder)
    picture, index = base64.b64encode(data).decode(), f"gallery:{tmp_path}/index"
    asked = place(tmp_path, episode={"image_query": True}, image_search=index)
    served = ServedTools(load_config(asked.config))
    schema = served.schema(served.tools["image_search"])
    assert (list(schema["properties"]), schema["required"]) == (["query", "image"], [])

    def call(**arguments: Any) -> str:
        return asyncio.run(served.call("image_search", arguments))[0]

    assert "Scene" in call(query="tower")
    assert "Scene" in call(image=picture, query="")
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"query": "tower", "image": picture}, "not both"),
        ({}, "base64"),
        ({"query": 7}, "a text"),
    ]
    for wrong, told in wrongs:
        with pytest.raises(WrongCallError, match=told):
            call(**wrong)


def test_others_need_a_token(gog: Gog, config: Path) -> None:
    done = gog("serve-tools", "-c", config, "--host", "0.0.0.0")
    assert (done.code, "GOG_TOOLS_TOKEN" in done.error) == (2, True)
