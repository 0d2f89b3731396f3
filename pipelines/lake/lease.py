"""One writer a run where there is no `flock`: a lease on an object, written only over what was read.

The holder writes its name, and again every `BEAT_S` seconds, each time only over its own last writing. Who finds a
lease that nobody has renewed for `GONE_S` seconds of the store's clock, or whose process is gone from this machine,
takes it over; of two who try, one does.
"""

import _thread
import json
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final

from gog.pipelines.lake.disk import LakeError, disk_errors
from gog.transforms.atomic import sweep
from gog.transforms.object_path import ABSENT, ObjectPath, ObjectStat

BEAT_S: Final = 10.0
GONE_S: Final = 60.0
FREE: Final = b"{}\n"

_here: set[str] = set()
"""Tokens of the leases that this process holds."""


@contextmanager
def run_lease(folder: ObjectPath, shared: Iterable[Iterable[Path]] = ()) -> Iterator[None]:
    """Hold the lease of a run. Raises `LakeError` when another holds it, and at the end when it was lost on the way.

    `shared` are passing files on this machine, which are cleared away where a killed process left them.
    """
    path = folder / "lock"
    with disk_errors(path, "lock"):
        lease = _Lease(path, folder.name)
    try:
        sweep(chain.from_iterable(shared))
        yield
    except KeyboardInterrupt:
        if lease.lost:
            raise LakeError(lease.lost) from None
        raise
    finally:
        lease.end()
    if lease.lost:
        raise LakeError(lease.lost)


def is_leased(path: ObjectPath) -> bool:
    """Whether a process writes to the run."""
    try:
        data, stat = path.read_tagged()
    except OSError:
        return False
    holder = _holder(data)
    return bool(holder) and not _is_gone(holder, time.time() - stat.st_mtime)


class _Lease:
    """A lease that is held, with the thread that renews it."""

    def __init__(self, path: ObjectPath, run: str) -> None:
        self._path, self._run = path, run
        self._token = secrets.token_hex(8)
        self._holder = {"pid": os.getpid(), "host": os.uname().nodename, "machine": _machine(), "token": self._token}
        self._beats = 0
        self.lost = ""
        """Who has it now, as a sentence; empty while it is held."""
        self._tag = self._take()
        _here.add(self._token)
        self._ended = threading.Event()
        self._in_main = threading.current_thread() is threading.main_thread()
        self._thread = threading.Thread(target=self._renew, name="gog-lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give it back."""
        self._ended.set()
        self._thread.join()
        _here.discard(self._token)
        if not self.lost:
            with suppress(OSError):
                self._path.write(FREE, self._tag)

    def _take(self) -> str:
        over = ABSENT
        for _ in range(3):
            try:
                return self._path.write(self._words(), over)
            except FileExistsError:
                data, stat = self._path.read_tagged()
            if (holder := _holder(data)).get("token") == self._token:
                return stat.tag  # the first try was heard, and its answer lost
            if holder and not _is_gone(holder, age := self._age_s(stat)):
                raise LakeError(
                    f"the run {self._run!r} is being written by another process ({_named(holder)}, heard of "
                    f"{max(0.0, age):.0f} s ago): wait for it to end, or for {GONE_S:.0f} s without a word of it, "
                    "or give this run another name"
                )
            over = stat.tag
        raise LakeError(f"the run {self._run!r} was just begun by another process: wait for it to end")

    def _age_s(self, stat: ObjectStat) -> float:
        """Seconds since the object was written, by the store's clock."""
        probe = self._path.parent / f".clock-{self._token}"
        probe.write(b"")
        now = probe.stat().st_mtime
        probe.unlink()
        return now - stat.st_mtime

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(BEAT_S):
            self._beats += 1
            try:
                self._tag = self._path.write(self._words(), self._tag)
                renewed = time.monotonic()
                continue
            except FileExistsError:
                with suppress(OSError):
                    data, stat = self._path.read_tagged()
                    if _holder(data).get("token") == self._token:
                        self._tag, renewed = stat.tag, time.monotonic()
                        continue
                    self.lost = f"another process ({_named(_holder(data))}) has taken over the run {self._run!r}"
            except OSError:
                pass
            if not self.lost and time.monotonic() - renewed > GONE_S:
                self.lost = f"{self._path} could not be renewed for {GONE_S:.0f} s, so that the run is free for others"
            if self.lost:
                self.lost += ": this one has stopped; what was finished is kept"
                if self._in_main:
                    _thread.interrupt_main()
                return

    def _words(self) -> bytes:
        return json.dumps(self._holder | {"beat": self._beats}).encode() + b"\n"


def _holder(data: bytes) -> dict[str, Any]:
    """Who holds a lease; nobody where it is free or damaged."""
    try:
        holder = json.loads(data)
        return {
            "pid": int(holder["pid"]),
            "host": str(holder["host"]),
            "token": str(holder["token"]),
            "machine": str(holder["machine"]),
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _machine() -> str:
    """Where a process number means the same process: the host since it was started, and the container on it."""
    parts = [os.uname().nodename]
    with suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return " ".join(parts)


def _named(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host'][:100]}" if holder else "process unknown"


def _is_gone(holder: dict[str, Any], age_s: float) -> bool:
    if age_s > GONE_S:
        return True
    if holder["machine"] != _machine():
        return False
    if holder["pid"] == os.getpid():
        return holder["token"] not in _here  # a container that was started anew has the same name and number
    try:
        os.kill(holder["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # another user's
        pass
    return False
