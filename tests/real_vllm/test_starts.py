"""Starts of a real vLLM that fail, each told in a line with what to do."""

import socket
from pathlib import Path

import pytest
from real_vllm.environment import EXECUTABLE, SERVED

import gog.transforms.services.models.server_process as child_module
from gog.transforms.services.models.server_process import ChildError
from gog.transforms.services.models.starting import starts
from gog.transforms.services.models.vllm import VllmSettings, vllm_server

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]


def told(model: Path, logs: Path, *more: str) -> str:
    """What is said of a start with further arguments."""
    with pytest.raises(ChildError) as caught:
        vllm_server(str(model), "", VllmSettings(executable=EXECUTABLE, args=(*SERVED, *more)), logs).base()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_port_that_is_taken(taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(child_module, "_free_port", lambda: other.getsockname()[1])
        said = told(taught, tmp_path)
    assert "its port was taken by another program: start again" in said
    assert said.endswith("OSError: [Errno 98] Address already in use")


def test_memory_that_does_not_suffice_and_what_is_shown_meanwhile(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE")  # which would count for more than the argument
    shown, plain = set(), child_module._healthy

    def healthy(port: int) -> bool:
        shown.add(starts())
        return plain(port)

    monkeypatch.setattr(child_module, "_healthy", healthy)
    said = told(taught, tmp_path, "--kv-cache-memory-bytes", "1000000")
    assert "its memory does not suffice: lower --max-model-len or --gpu-memory-utilization" in said
    assert "ValueError: To serve at least one request with the model's max seq len (16384)" in said
    steps = {line.rpartition(" s: ")[2] for line in shown}
    assert any(step.startswith("Loading weights took") or "Starting to load model" in step for step in steps), steps
