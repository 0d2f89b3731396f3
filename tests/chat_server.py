"""A chat model behind HTTP on the loopback, in a thread: a function of the request's JSON says what it answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Model = Callable[[dict[str, Any]], dict[str, Any]]
"""From a request to the message of the reply."""


@contextmanager
def chat_server(model: Model) -> Iterator[str]:
    """The base URL of the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = {"role": "assistant", "content": ""} | model(asked)
            finish = "tool_calls" if said.get("tool_calls") else "stop"
            usage = {"prompt_tokens": 7, "completion_tokens": 3}
            body = json.dumps({"choices": [{"index": 0, "message": said, "finish_reason": finish}], "usage": usage})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    """A message that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": "I look it up.", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
