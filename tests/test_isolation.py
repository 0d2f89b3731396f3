"""What conftest promises of every test."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_sockets_do_not_leave_this_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as plain, pytest.raises(RuntimeError, match="not on this machine"):
        plain.connect(address)
    with socket.socket(family) as plain, pytest.raises(RuntimeError, match="not on this machine"):
        plain.connect_ex(address)


async def _open(host: str) -> None:
    await asyncio.open_connection(host, 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
def test_async_connections_do_not_either(host: str) -> None:
    with pytest.raises(RuntimeError, match="not on this machine"):
        asyncio.run(_open(host))


def test_the_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        accepted, _ = server.accept()
        accepted.sendall(b"hello")
        accepted.close()
        assert client.recv(5) == b"hello"


def test_home_and_caches_are_the_tests_own() -> None:
    home = Path.home()
    assert home.name.startswith("gog-tests-")
    assert Path(os.environ["HF_HOME"]).is_relative_to(home)
    assert os.environ["OMP_NUM_THREADS"] == "1"


_IN_THE_BACKGROUND = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
import conftest
child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
subprocess.run([sys.executable, "-c", child], check=True)
"""


def test_processes_of_a_test_can_be_interrupted(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _IN_THE_BACKGROUND], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
