"""`vllm:MODEL`: a vLLM server as a child of this process.

vLLM lives in an environment of its own (its pins and Beam's exclude each other): the settings name its executable.
"""

import json
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.image_store import ImageStore
from gog.transforms.services.loop import shared
from gog.transforms.services.models.chat import ModelSettings, model_id
from gog.transforms.services.models.checkpoint import NOTES, noted_settings
from gog.transforms.services.models.provider import ModelProvider, NamedModels, Server, settings_by_rest
from gog.transforms.services.models.server_process import ChildModel, ChildServer
from gog.transforms.services.provider import Opening, ProviderError


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


def vllm_server(model: str, revision: str, settings: VllmSettings, logs: Path) -> ChildServer:
    """The process's server for a model. Its output goes to a file of its own in `logs`."""

    def command(port: int) -> list[str]:
        return [settings.executable, *serve_arguments(model, port, settings, revision)]

    key = ("vllm", model, revision, settings, str(logs))
    return shared(key, lambda: ChildServer(f"vllm:{model}", command, logs, settings.start_s))


def vllm_model(
    model: str, images: ImageStore, settings: ModelSettings, serving: VllmSettings, logs: Path
) -> ChildModel:
    """A model that vLLM serves."""
    return ChildModel(model, images, settings, partial(vllm_server, model, settings.revision, serving, logs))


def _fits(opening: Opening) -> bool:
    model = opening.rest
    if not model or model.startswith("-"):
        raise ProviderError(f"{opening.address!r} names no model; for example 'vllm:Qwen/Qwen2.5-VL-7B-Instruct'")
    if (Path(model) / "adapter_config.json").is_file():
        advice = f"save it merged, or start what `serve` in its {NOTES} says"
        raise ProviderError(f"{opening.address!r} is an adapter: {advice}")
    return True


def _settings(opening: Opening) -> ModelSettings:
    """As its notes say where it is a model that gog_train saved."""
    return noted_settings(opening) if (Path(opening.rest) / NOTES).is_file() else settings_by_rest(opening)


def _open(opening: Opening) -> ChildModel:
    serving = opening.of(VllmSettings)
    return vllm_model(opening.rest, opening.images, _settings(opening), serving, opening.of(NamedModels).logs)


def _server(opening: Opening) -> Server:
    executable = opening.of(VllmSettings).executable
    return Server(executable, "name it in vllm.executable, as in /opt/vllm/bin/vllm")


MODEL = ModelProvider(
    name="vllm",
    rest="either",
    example="vllm:MODEL",
    fits=_fits,
    open=_open,
    identify=lambda opening: model_id(opening.rest, _settings(opening)),
    settings=_settings,
    placeless=True,
    server=_server,
)
