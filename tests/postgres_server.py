"""A PostgreSQL of the tests: started where its programs are found."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None where there is none, or no driver, or nobody who may run it."""
    found = [Path(path).resolve().parent for name in ("initdb",) if (path := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    usable = [folder for folder in found if (folder / "postgres").exists() and (folder / "initdb").exists()]
    if find_spec("psycopg") is None or not usable or (os.getuid() == 0 and _user() is None):
        return None
    return usable[0]


def _user() -> str | None:
    """Who runs it, where the tests are root's: it refuses to be."""
    try:
        return pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else None
    except KeyError:
        return None


@dataclass
class Server:
    """A server in a folder of its own, without a password for whoever is on this machine."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    databases: int = 0

    def start(self) -> None:
        """Return when it takes connections."""
        folder = programs()
        assert folder is not None
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 150,
            "shared_buffers": "32MB",
            "fsync": "off",  # what is killed here is the server, not the machine
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [folder / "postgres", "-D", self.folder / "data", *options], stdout=log, stderr=log, **_as_user()
            )
        for _ in range(600):
            said = subprocess.run(
                [folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False, timeout=30
            )
            if said.returncode == 0:
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """`kill -9` of the server and of all that it started."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)  # it starts no more
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        children = [int(pid) for pid in listed.stdout.split()]
        for pid in (self.process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        # A server that starts meanwhile would find their memory still in use.
        until = time.monotonic() + 20
        while any(map(_lives, children)) and time.monotonic() < until:
            time.sleep(0.02)

    def stop(self) -> None:
        """An end in order: connections are closed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)

    def address(self, name: str = "") -> str:
        """The address of a new database, or of that one."""
        if not name:
            self.databases += 1
            name = f"store{self.databases}"
            self.query(f"CREATE DATABASE {name}", "postgres")
        return f"postgresql://gog@127.0.0.1:{self.port}/{name}"

    def query(self, sql: str, database: str) -> list[tuple[Any, ...]]:
        """Rows of a query; `database` is a name or an address."""
        import psycopg

        address = database if "://" in database else f"postgresql://gog@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


def _lives(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def serving() -> Iterator[Server]:
    """Such a server meanwhile."""
    folder = programs()
    assert folder is not None
    with tempfile.TemporaryDirectory(prefix="gog-postgres-", ignore_cleanup_errors=True) as home:
        root = Path(home)
        if user := _user():
            shutil.chown(root, user)
        subprocess.run(
            [
                folder / "initdb",
                "-D",
                root / "data",
                "-U",
                "gog",
                "-A",
                "trust",
                "--no-sync",
                "--no-locale",
                "-E",
                "UTF8",
            ],
            check=True,
            capture_output=True,
            timeout=120,
            **_as_user(),
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server(root, port)
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.stop()


def _as_user() -> dict[str, Any]:
    user = _user()
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "cwd": "/", "extra_groups": []}
