"""Isolation: no home, no caches, no network; one thread in a process, which can be interrupted.

Nothing is left out without a word.
"""

import math
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from postgres_server import Server, programs, serving

from gog.transforms import cores

os.environ.pop("COLUMNS", None)  # tables are as wide as without a terminal, wherever the tests run

# Before any test module imports: libraries read these when they are imported, and hand them to child processes.
_HOME = tempfile.mkdtemp(prefix="gog-tests-")
os.environ |= {
    "HOME": _HOME,
    "XDG_CACHE_HOME": f"{_HOME}/.cache",
    "XDG_CONFIG_HOME": f"{_HOME}/.config",
    "HF_HOME": f"{_HOME}/huggingface",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

# A shell has what it starts in the background ignore SIGINT, and every process that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Continuous integration repeats the same examples, so that a change is judged by its own.
settings.register_profile("gog", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("gog")

cores.WORTH_S = math.inf  # work stays where a test has put something in a function's place; some tests set this back

_NEEDS = {
    "network": "run them with pytest -m network",
    "gpu": "run them with pytest -m gpu",
    "vllm": "make test-vllm installs vLLM for CPUs and runs them",
    "verl": "make test-verl installs verl and runs them",
    "search": "make test-search gets trained encoders and runs them",
    "runners": "make test-runners installs Flink and Spark and runs them",
    "postgres": "they run where PostgreSQL (on Debian, apt-get install postgresql) and psycopg are installed",
}
"""Markers of what may be left out, and what to do about it."""
_LEFT_OUT = pytest.StashKey[dict[str, int]]()


class NetworkForbiddenError(RuntimeError):
    """A test without the marker `network` tried to leave this machine."""


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a path: a Unix socket
        return True
    host = address[0]
    return host in ("", "localhost", "::1", None) or str(host).startswith("127.")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this process reach the loopback alone. Child processes and C libraries are on their honour."""
    if request.node.get_closest_marker("network"):
        return
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guard(address: Any) -> None:
        if not _is_local(address):
            raise NetworkForbiddenError(f"{address} is not on this machine: mark the test with `network`")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        guard((host.decode() if isinstance(host, bytes) else host,))
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that no test stops."""
    with serving() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Count what the markers leave out."""
    before = list(items)
    yield
    if programs() is None:
        items[:] = [item for item in items if not item.get_closest_marker("postgres")]
    kept = {item.nodeid for item in items}
    counts: dict[str, int] = {}
    for item in before:
        if item.nodeid not in kept:
            for marker in _NEEDS if programs() is None else _NEEDS.keys() - {"postgres"}:
                counts[marker] = counts.get(marker, 0) + (item.get_closest_marker(marker) is not None)
    config.stash[_LEFT_OUT] = counts
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = counts


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Every worker of xdist collects the same: the last one's counts will do."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what the markers left out."""
    for marker, count in sorted(config.stash.get(_LEFT_OUT, {}).items()):
        if count:
            terminalreporter.write_line(f"left out: {count} tests marked {marker}; {_NEEDS[marker]}")


def pytest_unconfigure() -> None:
    """Remove the home that the tests were given."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def _s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("obstore", reason="the extra cloud is not installed")
    pytest.importorskip("moto.server", reason="moto is not installed")
    from object_stores import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(_s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An S3 server (`object_stores.S3`), which this process and its children are led to."""
    for name, value in _s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return _s3_server


@pytest.fixture
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where nothing is yet: on that server, or in the bucket that `GOG_TEST_BUCKET` names."""
    bucket = os.environ.get("GOG_TEST_BUCKET")
    if not bucket:
        request.getfixturevalue("s3")
    return f"{bucket or 's3://lakes'}/{tmp_path.parent.name}-{tmp_path.name}"
