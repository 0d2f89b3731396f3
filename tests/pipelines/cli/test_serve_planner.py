"""`gog serve-planner`: what it prints, how it ends, and wrong use."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import yaml
from calling import Gog
from serving import served

from gog.pipelines.cli.serving import serve
from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.connect.addresses import check_addresses


def test_it_prints_a_config_and_its_orders_and_ends_with_ctrl_c() -> None:
    with served("--fault", "429=0.05", "--fault", "cut-body=0.01", "--rate-limit", "20", "--seed", "7") as server:
        lines = [line for line in server.said.splitlines() if "#" in line]
        given = yaml.safe_load("\n".join(lines))
        assert given == server.models
        check_addresses(parse_config(given))
    assert isinstance(parse_config(given), Config)
    assert "429 5.0%, cut-body 1.0%; drawn with seed 7" in server.said
    assert "At most 20 requests a second" in server.said
    assert server.counted == {"requests": 0, "answered": 0}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--fault", "418=0.1"], "there is no fault '418'; there are 429, 500, 503, stall, cut"),
        (["--fault", "429"], "write NAME=SHARE, as 429=0.05"),
        (["--fault", "429=2"], "between 0 and 1"),
        (["--fault", "429=0.6", "--fault", "500=0.6"], "1 at most together"),
        (["--tail", "0.05"], "write SHARE:SECONDS, as 0.05:0.6"),
        (["--latency", "-1"], "times are in seconds, 0 or more"),
        (["--rate-limit", "0"], "more than 0"),
        (["--port", "70000"], "--port"),
    ],
)
def test_wrong_orders(gog: Gog, args: list[str], said: str) -> None:
    done = gog("serve-planner", *args)
    assert done.code == 2
    assert said in done.error


def test_a_port_that_is_taken(gog: Gog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = gog("serve-planner", "--port", str(port))
    assert done.code == 1
    assert f"{port}" in done.error


@pytest.mark.parametrize(
    ("host", "told"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("a.example", True)],
)
def test_an_address_that_others_reach_is_warned_of(capsys: pytest.CaptureFixture[str], host: str, told: bool) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        yield "http://x"

    def end(address: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    asyncio.run(serve(serving(), host, 8000, end))
    assert (f"whoever reaches {host} may ask" in capsys.readouterr().err) is told
