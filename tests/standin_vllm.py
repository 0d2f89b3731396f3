"""A stand-in for the `vllm` executable: takes the arguments of `vllm serve`, answers every question with them.

Further arguments say how it behaves: `--fail` ends at once, `--dies-of TEXT` too, `--never-up`, `--ends-after N`
(answers), `--slow S` (to start), `--deaf` (to SIGTERM), `--child FILE` starts a process and writes its id to the file.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ARGUMENTS = sys.argv[1:]
answered = 0


def option(name: str) -> str | None:
    """What follows the option."""
    return ARGUMENTS[ARGUMENTS.index(name) + 1] if name in ARGUMENTS else None


class Handler(BaseHTTPRequestHandler):
    """Health and chat completions."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(503 if "--never-up" in ARGUMENTS else 200, {})

    def do_POST(self) -> None:
        global answered
        self.rfile.read(int(self.headers["Content-Length"]))
        said = json.dumps({"arguments": ARGUMENTS, "pid": os.getpid(), "names": sorted(os.environ)})
        self._send(200, {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})
        answered += 1
        if answered == int(option("--ends-after") or 0):
            threading.Timer(0.05, os._exit, [3]).start()

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Says nothing of a client that hangs up."""

    def handle_error(self, *_: object) -> None:
        """The log holds what a test put there."""


def main() -> None:
    """Serve until told to end."""
    print("loading the weights", flush=True)
    if text := option("--dies-of"):
        print(text, "\nexiting", file=sys.stderr, flush=True)
        sys.exit(1)
    if "--fail" in ARGUMENTS:
        print("ValueError: no GPU\nfound here", file=sys.stderr, flush=True)
        sys.exit(1)
    if "--deaf" in ARGUMENTS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if path := option("--child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(path, "w") as file:  # noqa: PTH123
            file.write(str(child.pid))
    time.sleep(float(option("--slow") or 0))
    port = option("--port")
    assert port
    Server(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
