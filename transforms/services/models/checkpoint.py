"""`checkpoint:FOLDER`: a model that gog_train saved, served by `python -m gog_train.serve` as a child of this process.

torch lives where training does; the settings name that environment's interpreter. For a CPU and small jobs: on a GPU
`vllm:FOLDER` is many times faster.
"""

import hashlib
import json
import sys
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gog.transforms.dialect.backbones import FamilyName
from gog.transforms.image_store import ImageStore
from gog.transforms.services.loop import shared
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.provider import ModelProvider, NamedModels, Server
from gog.transforms.services.models.server_process import ChildModel, ChildServer
from gog.transforms.services.provider import Opening, ProviderError

NOTES: Final = "gog.json"
"""File that a training leaves beside the weights: backbone, thinking, pixel budget and how to serve them."""
_MOST_NOTES: Final = 1 << 20
_PLAIN_FOLDERS: Final = ("adapter", "merged")
"""Names of folders that say nothing of the model in them."""


class CheckpointSettings(BaseModel):
    """How `checkpoint:FOLDER` is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str = ""
    """Interpreter of the environment that gog_train[train] is installed in; empty for this one."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    batch: int = Field(default=8, ge=1, le=1024)
    """Requests that are answered at once."""
    start_s: float = Field(default=900.0, gt=0)
    """Seconds until it must be healthy; loading weights takes minutes."""


class Notes(BaseModel):
    """What a training notes of the model beside it."""

    model_config = ConfigDict(frozen=True)

    backbone: FamilyName
    thinking: bool
    min_pixels: int = Field(ge=1, le=1 << 28)
    max_pixels: int = Field(ge=1024, le=1 << 28)
    serve: tuple[str, ...] = ()
    """How vLLM serves it."""

    @property
    def model(self) -> ModelSettings:
        """Images resized as in training, so that boxes come back in the frame that was trained."""
        return ModelSettings(family=self.backbone, min_pixels=self.min_pixels, max_pixels=self.max_pixels)


def checkpoint_model(
    folder: str, images: ImageStore, settings: ModelSettings, serving: CheckpointSettings, logs: Path
) -> ChildModel:
    """A model that gog_train serves. Its id is the folder's name and a hash of all that is in it."""
    return ChildModel(folder, images, settings, partial(_server, folder, serving, logs), checkpoint_id(folder))


def serve_command(folder: str, port: int, settings: CheckpointSettings, python: str) -> list[str]:
    """The interpreter with its arguments."""
    command = [settings.python or python, "-m", "gog_train.serve", "--checkpoint", folder, "--name", folder]
    return [*command, "--port", str(port), "--device", settings.device, "--batch", str(settings.batch)]


def read_notes(folder: str) -> Notes:
    """The notes beside a model. Raises `ProviderError`."""
    path = Path(folder) / NOTES
    try:
        with path.open("rb") as file:
            return Notes.model_validate_json(file.read(_MOST_NOTES))
    except OSError:
        advice = "name the folder `adapter` or `merged` that gog_train saved"
        raise ProviderError(f"{folder} has no {NOTES}: {advice}") from None
    except ValidationError:
        raise ProviderError(f"{path} is not what gog_train writes: save the model again") from None


def checkpoint_id(folder: str) -> str:
    """`NAME@HASH` of a checkpoint; an adapter's base is part of the hash where it is one. Raises `ProviderError`."""
    read_notes(folder)
    root = Path(folder).resolve()
    name = f"{root.parent.name}-{root.name}" if root.name in _PLAIN_FOLDERS else root.name
    return f"{name}@{_digest(root)[:12]}"


def _digest(root: Path) -> str:
    """Hash of a model's files and of its base's."""
    try:
        files = sorted(path for path in root.iterdir() if path.is_file())
        listed = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
        digest = _hashed(listed)
        base = _base(root)
    except OSError as error:
        raise ProviderError(f"{root} cannot be read: {error.strerror or error}") from None
    return hashlib.sha256(f"{digest} {_digest(base)}".encode()).hexdigest() if base else digest


@lru_cache(maxsize=64)
def _hashed(listed: tuple[tuple[str, int, int], ...]) -> str:
    """Hash of files by name and content; read once as long as they do not change."""
    digest = hashlib.sha256()
    for name, *_ in listed:
        with Path(name).open("rb") as file:
            digest.update(f"{Path(name).name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _base(root: Path) -> Path | None:
    """The folder that an adapter belongs to; None of a whole model, or of a base that is no folder here."""
    path = root / "adapter_config.json"
    if not path.is_file():
        return None
    try:
        named = json.loads(path.read_bytes()).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        raise ProviderError(f"{path} is no configuration of an adapter: save the model again") from None
    base = Path(str(named)).resolve()
    # A base that names itself would never end.
    return base if named and base.is_dir() and base != root and not (base / "adapter_config.json").exists() else None


def _server(folder: str, settings: CheckpointSettings, logs: Path) -> ChildServer:
    """The process's server of a checkpoint."""

    def command(port: int) -> list[str]:
        return serve_command(folder, port, settings, sys.executable)

    key = ("checkpoint", checkpoint_id(folder), settings, str(logs))
    return shared(key, lambda: ChildServer(f"checkpoint:{folder}", command, logs, settings.start_s))


def noted_settings(opening: Opening) -> ModelSettings:
    """How a model that gog_train saved is spoken to: as the settings of its name say, else as its notes do."""
    return opening.of(NamedModels).by_name.get(opening.rest) or read_notes(opening.rest).model


def _open(opening: Opening) -> ChildModel:
    serving, logs = opening.of(CheckpointSettings), opening.of(NamedModels).logs
    return checkpoint_model(opening.rest, opening.images, noted_settings(opening), serving, logs)


def _served(opening: Opening) -> Server:
    serving, advice = opening.of(CheckpointSettings), "name it in checkpoint.python"
    # What waits at the server waits on the clock: no more than one batch.
    return Server(serving.python or sys.executable, f"{advice}, as /path/to/environment/bin/python", 2 * serving.batch)


MODEL = ModelProvider(
    name="checkpoint",
    rest="path",
    example="checkpoint:FOLDER",
    fits=lambda opening: bool(checkpoint_id(opening.rest)),
    open=_open,
    identify=lambda opening: checkpoint_id(opening.rest),
    settings=noted_settings,
    server=_served,
)
