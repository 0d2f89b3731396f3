"""A program between ours and a server that it started: `python guard.py PARENT GRACE_S COMMAND...`.

It ends the server, with all that the server started, when it is told to (SIGTERM) and when the parent is gone, however
that ended. It stands alone: nothing but the standard library, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

LOOK_S = 0.1
"""Seconds between looks at the parent and the server."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def guard(parent: int, grace_s: float, command: list[str]) -> int:
    """Run the command in a process group of its own until one of the three ends; returns its exit code."""
    told = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  # a list
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    while not told and os.getppid() == parent:
        try:
            server.wait(LOOK_S)
            break
        except subprocess.TimeoutExpired:
            continue
    # What a server leaves behind that ended by itself is of no use, and whoever asks must hear of it at once.
    end(server, grace_s if server.poll() is None else 0.0)
    code = server.wait()
    return code if code >= 0 else 128 - code


def end(server: "subprocess.Popen[bytes]", grace_s: float) -> None:
    """Ask the server's group to end, and end what is left of it after the grace, in seconds."""
    _signal(server.pid, signal.SIGTERM)
    last = time.monotonic() + grace_s
    while time.monotonic() < last and _signal(server.pid, 0):
        server.poll()
        time.sleep(LOOK_S)
    _signal(server.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Send a signal to the group (0 only looks); whether there is anybody."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
