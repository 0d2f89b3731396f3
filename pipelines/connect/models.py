"""From an address to a chat model: the embedded planner, an endpoint, or a server that is started.

planner:skill=0.85                  the embedded rule-based program
https://HOST/v1#MODEL               an OpenAI-compatible endpoint
vllm:MODEL                          a vLLM server that is started with the first question
checkpoint:FOLDER                   a model that gog_train saved, served by the training environment likewise
"""

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from gog.pipelines.config.config import Config, ConfigError
from gog.transforms.atlas.planner import Planner, skill_of
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.images import ImageStore
from gog.transforms.services.http import key_in
from gog.transforms.services.models.chat import ChatModel, ModelSettings
from gog.transforms.services.models.checkpoint import NOTES, CheckpointError, CheckpointModel, read_notes
from gog.transforms.services.models.vllm import VllmModel
from gog.transforms.services.protocols import Policy

EXAMPLES = "'planner:skill=0.85', 'http://127.0.0.1:8000/v1#MODEL', 'vllm:MODEL' or 'checkpoint:FOLDER'"
LOGS = "logs"
"""Folder of the lake for the output of servers that were started."""


def open_model(address: str, images: ImageStore, config: Config | None = None, *, keyed: bool = True) -> Policy:
    """The model at an address, with its settings in the config. Raises `ConfigError`.

    A key is looked for in the environment unless not `keyed` (nothing will be called), or in replay mode.
    """
    config = config or Config()
    scheme = address.partition(":")[0]
    if scheme == "planner":
        return _planner(address, images)
    if scheme in ("http", "https"):
        url, model = _endpoint(address)
        settings = settings_of(address, config)
        key = _key(model, settings) if keyed and config.store.mode != "replay" else ""
        return ChatModel(url, model, images, settings, key)
    if scheme == "vllm":
        model = address.partition(":")[2].strip()
        if not model or model.startswith("-"):
            raise ConfigError(f"{address!r} names no model; for example 'vllm:Qwen/Qwen2.5-VL-7B-Instruct'")
        if (Path(model) / "adapter_config.json").is_file():
            raise ConfigError(f"{address!r} is an adapter: save it merged, or start what `serve` in its {NOTES} says")
        return VllmModel(model, images, settings_of(address, config), config.vllm, Path(config.lake) / LOGS)
    if scheme == "checkpoint":
        folder, settings = address.partition(":")[2].strip(), settings_of(address, config)
        try:
            return CheckpointModel(folder, images, settings, config.checkpoint, Path(config.lake) / LOGS)
        except CheckpointError as error:
            raise ConfigError(f"{address!r}: {error}") from None
    raise ConfigError(f"{address!r} is no address of a model; for example {EXAMPLES}")


def settings_of(address: str, config: Config) -> ModelSettings:
    """How the model at an address is spoken to: as the config says of its name, else as a checkpoint's notes do.

    Raises `ConfigError`.
    """
    scheme, _, rest = address.partition(":")
    name = address.partition("#")[2].strip() if scheme in ("http", "https") else rest.strip()
    if name in config.models:
        return config.models[name]
    try:
        if scheme == "checkpoint" or (scheme == "vllm" and (Path(name) / NOTES).is_file()):
            return read_notes(name).model
    except CheckpointError as error:
        raise ConfigError(f"{address!r}: {error}") from None
    return ModelSettings()


def episode_of(address: str, config: Config) -> EpisodeSettings:
    """The episode as the policy at an address meets it: boxes in the frame of its family, where that is known.

    A policy that was trained writes boxes as it was taught, whatever frame the run's teacher had.
    """
    settings = settings_of(address, config)
    if settings.backbone is None:
        return config.episode
    backbone = replace(settings.backbone, min_pixels=settings.least_pixels, max_pixels=settings.most_pixels)
    return config.episode.in_frame(backbone.spec)


def provider_of(address: str) -> str:
    """Whose limits hold for an address: `HOST:PORT` of a URL, the scheme of any other."""
    if address.startswith(("http://", "https://")):
        return urlsplit(address).netloc.rpartition("@")[2]
    return address.partition(":")[0]


def _planner(address: str, images: ImageStore) -> Planner:
    try:
        return Planner(images, skill=skill_of(address))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _endpoint(address: str) -> tuple[str, str]:
    """Base URL and model of `http(s)://HOST/v1#MODEL`."""
    url, _, model = address.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{url!r} is no URL of an endpoint") from None
    if found := key_in(url):
        shown = f"{parts.scheme}://{host}"
        named = f"models.{model or 'MODEL'}.key_env"
        raise ConfigError(f"{shown}: no key in an address ({found}); name its variable in {named}")
    if not host:
        raise ConfigError(f"{address!r} names no host; for example 'http://127.0.0.1:8000/v1#MODEL'")
    if not model.strip():
        raise ConfigError(f"{address!r} names no model: write it behind a #, as in {url}#MODEL")
    return url, model.strip()


def _key(model: str, settings: ModelSettings) -> str:
    if not settings.key_env:
        return ""
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise ConfigError(f"models.{model}: the key's variable {settings.key_env} is not set")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"models.{model}: what is in {settings.key_env} is no key: it has line breaks or such")
    return key
