import subprocess
import sys

from gog.transforms.services.mcp import bounded_pipe


def piped(code: str, limit: int = 1000) -> tuple[int, bytes]:
    command = [sys.executable, "-I", bounded_pipe.__file__, str(limit), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
    return done.returncode, done.stdout


def test_messages_go_through_and_prose_does_not() -> None:
    assert piped("print('hello'); print('{\"a\": 1}'); raise SystemExit(3)") == (3, b'{"a": 1}\n')


def test_endless_lines_and_endless_prose_end_the_server() -> None:
    assert piped("while True: print('{' * 100, end='')") == (1, b"")
    assert piped("while True: print('y')") == (1, b"")


def test_no_such_program() -> None:
    done = subprocess.run([sys.executable, bounded_pipe.__file__, "9", "/no/such"], capture_output=True, timeout=30)
    assert done.returncode == 1
