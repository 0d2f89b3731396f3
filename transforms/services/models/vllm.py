"""`vllm:MODEL`: a vLLM server as a child of this process.

vLLM lives in an environment of its own (its pins and Beam's exclude each other): the settings name its executable.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.images import ImageStore
from gog.transforms.services.loop import shared
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.server_process import ChildModel, ChildServer


class VllmSettings(BaseModel):
    """How `vllm serve` is started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    executable: str = Field(default="vllm", min_length=1)
    """Of the environment that vLLM is installed in, as in `/opt/vllm/bin/vllm`."""
    tool_parser: str = "hermes"
    """`--tool-call-parser`: hermes for Qwen2.5-VL and Qwen3-VL; empty for none."""
    reasoning_parser: str = ""
    """`--reasoning-parser`, such as `qwen3`; without one, `<think>` is read from the text."""
    images: int = Field(default=8, ge=1)
    """Images a request may have; no less than `episode.max_images`."""
    args: tuple[str, ...] = ()
    """More arguments, such as `--tensor-parallel-size`, `2`. Where they change what is served (quantisation, an
    adapter), say so in the model's `revision`."""
    start_s: float = Field(default=900.0, gt=0)
    """Seconds until it must be healthy; loading weights takes minutes."""


def serve_arguments(model: str, port: int, settings: VllmSettings, revision: str = "") -> list[str]:
    """Arguments of the executable. Sampling is the request's alone: the model's own defaults are left out."""
    arguments = ["serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", model]
    arguments += ["--generation-config", "vllm", "--limit-mm-per-prompt", json.dumps({"image": settings.images})]
    if revision:
        arguments += ["--revision", revision]
    if settings.tool_parser:
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", settings.tool_parser]
    if settings.reasoning_parser:
        arguments += ["--reasoning-parser", settings.reasoning_parser]
    return [*arguments, *settings.args]


class VllmServer(ChildServer):
    """A server for a model. Made by `server_for`, so that a process has one for each."""

    def __init__(self, model: str, revision: str, settings: VllmSettings, logs: Path) -> None:
        """Its output goes to a file of its own in `logs`."""

        def command(port: int) -> list[str]:
            return [settings.executable, *serve_arguments(model, port, settings, revision)]

        super().__init__(f"vllm:{model}", command, logs, settings.start_s)


class VllmModel(ChildModel):
    """A model that vLLM serves."""

    def __init__(
        self, model: str, images: ImageStore, settings: ModelSettings, serving: VllmSettings, logs: Path
    ) -> None:
        super().__init__(model, images, settings, lambda: server_for(model, settings.revision, serving, logs))


def server_for(model: str, revision: str, settings: VllmSettings, logs: Path) -> VllmServer:
    """The process's server for a model."""
    key = ("vllm", model, revision, settings, str(logs))
    return shared(key, lambda: VllmServer(model, revision, settings, logs))
