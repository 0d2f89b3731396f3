"""A server's standard output, passed on as long as it is messages: `bounded_pipe.py BYTES COMMAND...`.

A process of its own, since the SDK reads lines of any length and number. Needs the standard library alone.
"""

import subprocess
import sys

_OTHER_LINES = 1000
"""Lines that are no messages; some servers greet."""


def main(limit: int, command: list[str]) -> int:
    """Run the command; ends it, with 1, at a line of more than `limit` bytes or many that are none of the protocol."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603  # the user's own, without a shell
    except OSError:
        return 1
    assert process.stdout is not None
    others = 0
    while line := process.stdout.readline(limit + 1):
        if len(line) > limit or others > _OTHER_LINES:
            process.kill()
            return 1
        if not line.startswith(b"{"):
            others += 1
            continue
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            process.kill()
            return 1
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
