"""A job manager of Flink is asked to end our job, and no other."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from gog.pipelines.steps.flink import end_job

JOBS = [
    {"jid": "a1", "name": "gog-r-1", "end-time": 12},
    {"jid": "a2", "name": "gog-r-1", "end-time": -1},
    {"jid": "b1", "name": "gog-r-2", "end-time": -1},
]


@pytest.fixture
def manager() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked to end."""
    ended: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(json.dumps({"jobs": JOBS}).encode() if self.path == "/jobs/overview" else b"<html>")

        def do_PATCH(self) -> None:
            ended.append(self.path)
            self._answer(b"{}")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", ended
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://{}/"])
def test_our_job_is_ended(manager: tuple[str, list[str]], form: str) -> None:
    address, ended = manager
    assert end_job(PipelineOptions([f"--flink_master={form.format(address)}", "--job_name=gog-r-1"]))
    assert ended == ["/jobs/a2?mode=cancel"]


@pytest.mark.parametrize("master", ["[auto]", "[local]", "file:///etc/passwd"])
def test_nobody_is_asked_where_no_address_is_named(master: str) -> None:
    assert not end_job(PipelineOptions([f"--flink_master={master}", "--job_name=gog-r-1"]))


def test_who_is_no_job_manager_is_an_error(manager: tuple[str, list[str]]) -> None:
    address, _ = manager
    with pytest.raises(ValueError, match="Expecting value"):
        end_job(PipelineOptions([f"--flink_master=http://{address}/elsewhere", "--job_name=x"]))
    with pytest.raises(OSError):
        end_job(PipelineOptions(["--flink_master=127.0.0.1:1", "--job_name=x"]))
