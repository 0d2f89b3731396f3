"""Reads an export for TRL, and checks it before the first step of a training.

    export = open_export(Path("lake/runs/atlas/exports/trl-qwen3-vl"), "rl", "qwen3-vl", levels=(1, 2))
    rows = export.rows("train")     # a datasets.Dataset; messages, prompt and tools are JSON text

Whatever is wrong is an `ExportError` that says what to do.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image, UnidentifiedImageError

from gog.schemas import SCHEMA_VERSION, BoxError
from gog.schemas.boxes import from_frame
from gog.transforms.dialect.backbones import BACKBONES, Backbone, Template
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.target import ToolSettings

Kind = Literal["sft", "rl"]

_AGAIN: Final = "export it again with `gog export {kind} --format {form} --backbone {backbone}`"
_COLUMNS: Final = {"sft": ("id", "messages", "tools", "images"), "rl": ("id", "prompt", "tools", "images", "level")}


class ExportError(Exception):
    """The export cannot be trained on; the message is one line that says what to do."""


@dataclass(frozen=True)
class Export:
    """A checked export. `manifest` is its manifest.json; `folder` holds the Parquet files of its splits."""

    folder: Path
    kind: Kind
    backbone: Backbone
    manifest: Mapping[str, Any]
    levels: tuple[int, ...]
    """Levels of the RL rows that are wanted; `rows` gives only these."""

    @cached_property
    def sha256(self) -> str:
        """Hash of the manifest, which holds the hashes of all files."""
        return hashlib.sha256((self.folder / "manifest.json").read_bytes()).hexdigest()

    def template(self, thinking: bool | None) -> Template:
        """The chat template; whether it shows the reasoning in thoughts is as the export says where that is None."""
        exported = bool(self.manifest["backbone"]["thinking"])
        return self.backbone.template(thinking=exported if thinking is None else thinking)

    @cached_property
    def episode(self) -> EpisodeSettings:
        """The episode of the run in the backbone's frame: what the prompts show."""
        return EpisodeSettings.model_validate(self.manifest["episode"])

    @cached_property
    def tools(self) -> ToolSettings:
        """How the tools of the run work."""
        return ToolSettings.model_validate(self.manifest["tools"])

    def files(self, split: str) -> list[Path]:
        """Parquet files of a split; none where it has no rows."""
        return [self.folder / file["name"] for file in self.manifest["splits"][split]["files"]]

    def rows(self, split: str) -> Any:
        """The rows of a split as a `datasets.Dataset` whose images decode when they are asked for.

        Of an RL split only the wanted levels. Raises `ExportError` when the split has no rows.
        """
        from datasets import load_dataset

        paths = [str(path) for path in self.files(split)]
        if not paths:
            raise ExportError(f"the split {split} of {self.folder} has no rows")
        data = load_dataset("parquet", data_files={split: paths}, split=split)
        if self.kind == "rl":
            wanted = [number for number, level in enumerate(data["level"]) if level in self.levels]
            data = data.select(wanted)
        return data


def as_messages(rows: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows of an SFT export as TRL's own trainer takes them; for `with_transform` of a `datasets.Dataset`.

    Messages and tools are read from their JSON, and every image part holds its picture, the crops in the replies of
    tools too, which TRL fills in for no one: `images` is therefore empty.
    """
    messages = [json.loads(text) for text in rows["messages"]]
    for conversation, images in zip(messages, rows["images"], strict=True):
        contents = [message["content"] for message in conversation if isinstance(message["content"], list)]
        parts = [part for content in contents for part in content if part["type"] == "image"]
        for part, image in zip(parts, images, strict=True):
            part["image"] = image
    read = {"messages": messages, "images": [[] for _ in messages]}
    return read | ({"tools": [json.loads(text) for text in rows["tools"]]} if "tools" in rows else {})


def open_export(
    folder: Path, kind: Kind, backbone: str, levels: Collection[int] = (1, 2), *, rows: bool = True
) -> Export:
    """The export in `folder` (the one of the format, or its `sft` or `rl`), after all checks. Raises `ExportError`.

    Checked are: the manifest's version, format, kind and backbone; that every file is there and whole; that the
    training split has rows, of the wanted levels; and of every row (unless `rows` is false) that it is JSON, that
    there is a readable image for each image part, and that the boxes of the turns to learn lie inside their images.
    """
    folder = folder / kind if (folder / kind / "manifest.json").exists() else folder
    wanted = BACKBONES[backbone]
    again = _AGAIN.format(kind=kind, form="trl", backbone=backbone)
    manifest = read_manifest(folder, kind, "trl", again)
    _check_backbone(manifest, folder, wanted, again)
    export = Export(folder, kind, wanted, manifest, tuple(sorted(set(levels))))
    for split, listed in manifest["splits"].items():
        check_files(folder, {file["name"]: file["sha256"] for file in listed.get("files", ())}, f"split {split}", again)
    _check_rows_there(export)
    if rows:
        for split in manifest["splits"]:
            for path in export.files(split):
                for row in _read(path, kind, again):
                    if problem := problem_of(row, export.backbone):
                        raise ExportError(f"{row['id']} in {path.name}: {problem}; {again}")
    return export


def read_manifest(folder: Path, kind: Kind, form: str, again: str = "") -> dict[str, Any]:
    """The manifest of an export of that kind and format, of this schema version. Raises `ExportError`.

    `again` is what to do about one that is not; by default to export it again for some backbone.
    """
    again = again or _AGAIN.format(kind=kind, form=form, backbone="MODEL")
    manifest = _loaded(folder, again)
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        do = "upgrade glance-or-gaze, or " if newer else ""
        raise ExportError(
            f"{folder} is of schema version {version!r}, this program reads {SCHEMA_VERSION}: {do}{again}"
        )
    if manifest.get("format") != form:
        raise ExportError(f"{folder} is in the format {manifest.get('format')!r}, training reads {form}; {again}")
    if manifest.get("kind") != kind:
        raise ExportError(f"{folder} is an export for {manifest.get('kind')!r}, not for {kind}; {again}")
    splits, backbone = manifest.get("splits"), manifest.get("backbone")
    if not isinstance(splits, dict) or "train" not in splits or not isinstance(backbone, dict):
        raise ExportError(f"the manifest of {folder} is damaged; {again}")
    try:
        EpisodeSettings.model_validate(manifest.get("episode"))
        ToolSettings.model_validate(manifest.get("tools"))
    except ValueError as error:
        raise ExportError(f"the manifest of {folder} says nothing of its episode or its tools; {again}") from error
    return manifest


def _loaded(folder: Path, again: str) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ExportError(f"there is no export in {folder} (no manifest.json); {again}") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read ({type(error).__name__}); {again}") from error
    if not isinstance(loaded, dict):
        raise ExportError(f"{path} is no manifest; {again}")
    return loaded


def _check_backbone(manifest: Mapping[str, Any], folder: Path, wanted: Backbone, again: str) -> None:
    exported = manifest["backbone"]
    asked = {
        "name": wanted.name,
        "frame": wanted.frame.value,
        "factor": wanted.factor,
        "min_pixels": wanted.min_pixels,
        "max_pixels": wanted.max_pixels,
    }
    for key, value in asked.items():
        if exported.get(key) != value:
            what = "backbone" if key == "name" else key
            raise ExportError(f"{folder} was made for the {what} {exported.get(key)!r}, wanted is {value!r}; {again}")
    if not isinstance(exported.get("thinking"), bool):
        raise ExportError(f"the manifest of {folder} is damaged; {again}")


def check_files(folder: Path, files: Mapping[str, str], whose: str, again: str) -> None:
    """Raise `ExportError` unless the files are there, with these hashes; names are relative to the folder."""
    for name, sha256 in files.items():
        path = inside(folder, name)
        if not path:
            raise ExportError(f"{folder / name} of the {whose} is missing; copy the whole folder, or {again}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != sha256:
            raise ExportError(f"{path} is not the file that was exported; copy the whole folder, or {again}")


def inside(folder: Path, name: str) -> Path | None:
    """The file of that name below a folder, where there is one; a name that leads elsewhere has none.

    What it links to may lie elsewhere, as in the cache of the Hugging Face hub.
    """
    relative = Path(name)
    path = folder / relative
    return path if not relative.is_absolute() and ".." not in relative.parts and path.is_file() else None


def _check_rows_there(export: Export) -> None:
    train = export.manifest["splits"]["train"]
    if not train.get("rows"):
        raise ExportError(f"the split train of {export.folder} has no rows: nothing to train on")
    if export.kind == "rl":
        there = {int(level): rows for level, rows in (train.get("levels") or {}).items()}
        missing = [level for level in export.levels if not there.get(level)]
        if missing or not export.levels:
            has = ", ".join(f"{rows} of level {level}" for level, rows in sorted(there.items()))
            raise ExportError(
                f"the split train of {export.folder} has no rows of level {', '.join(map(str, missing)) or 'none'}; "
                f"it has {has}: ask for these, or label more seeds with `gog label`"
            )


def _read(path: Path, kind: str, again: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in _COLUMNS[kind] if name not in file.schema_arrow.names]
            if missing:
                raise ExportError(f"{path} has no column {missing[0]!r}; {again}")
            for batch in file.iter_batches(batch_size=16, columns=list(_COLUMNS[kind])):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise ExportError(f"{path} cannot be read ({type(error).__name__}); {again}") from error


def problem_of(row: Mapping[str, Any], backbone: Backbone) -> str:
    """What is wrong with a row, in a few words; empty when nothing is."""
    try:
        messages = json.loads(row["messages"] if "messages" in row else row["prompt"])
        tools = [tool["function"] for tool in json.loads(row["tools"])]
        looks = {tool["name"] for tool in tools if "bbox_2d" in tool["parameters"]["properties"]}
        parts = sum(
            part["type"] == "image"
            for message in messages
            if isinstance(message["content"], list)
            for part in message["content"]
        )
    except (TypeError, ValueError, KeyError):
        return "its messages or tools are not what an export writes"
    images = row["images"] or []
    if len(images) != parts or not images:
        return f"{parts} image parts and {len(images)} images"
    try:
        sizes = [_size(image["bytes"]) for image in images]
    except (TypeError, ValueError, OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return "an image is missing or cannot be read"
    return next(filter(None, (_box_problem(message, looks, sizes, backbone) for message in messages)), "")


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def _box_problem(
    message: Mapping[str, Any], looks: set[str], sizes: Sequence[tuple[int, int]], backbone: Backbone
) -> str:
    """What is wrong with the boxes of a turn that is to be learned; `looks` are the tools that take one."""
    if message["role"] != "assistant" or not message.get("train", True):
        return ""
    for call in message.get("tool_calls", ()):
        if call["function"]["name"] not in looks:
            continue
        try:
            arguments = json.loads(call["function"]["arguments"])
            width, height = sizes[arguments["image"]]
            from_frame(arguments["bbox_2d"], backbone.spec, width, height)
        except BoxError as error:
            return str(error)
        except (ValueError, KeyError, IndexError, TypeError):
            return "a gaze without a box, or on an image that is not there"
    return ""
