"""The paths that a config names: relative to the folder that it lies in, wherever a command is typed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from gog.transforms.services.providers import path_in

C = TypeVar("C", bound=BaseModel)
"""The config: its class is made of what stands here."""

_OF_SOURCE: Final = ("path", "image_root", "images", "with_kb")
_ADDRESSES: Final = ("teacher", "judge", "labeller", "detector", "text_search", "image_search", "pages")


def rooted(config: C, folder: str) -> C:
    """The config as read from a file in `folder`: its relative paths lead there. Empty is the current folder."""

    def there(path: str) -> str:
        return str(Path(folder, path))

    moved: C = _moved(config, there).model_copy(update={"folder": folder}) if folder else config
    return moved


def as_written(config: C) -> C:
    """The config with its paths relative to the folder that it was read from: the same from wherever it is read."""
    folder = getattr(config, "folder", "") or "."
    written: C = _moved(config, lambda path: os.path.relpath(path, folder)).model_copy(update={"folder": ""})
    return written


def _moved(config: Any, move: Callable[[str], str]) -> Any:
    """The config with each path on this machine changed; names of a hub that are no folder here stay."""

    def path(value: str) -> str:
        return move(value) if value and "://" not in value else value

    def name(value: str) -> str:
        """A folder where there is one of that name, else something of a hub."""
        return move(value) if Path(value).is_dir() or Path(move(value)).exists() else value

    def program(value: str) -> str:
        return move(value) if os.sep in value else value

    renamed: dict[str, str] = {}

    def address(value: str) -> str:
        rest = value.partition(":")[2].strip()
        change = {"path": path, "either": name}.get(path_in(value))
        if change is None:
            return value
        renamed[rest] = change(rest)
        return value[: value.index(":") + 1] + renamed[rest]

    source, search = config.source, config.search
    changed: dict[str, Any] = {key: path(value) for key in _OF_SOURCE if (value := getattr(source, key, None))}
    if source.kind == "hf":
        changed["name"] = name(source.name)
    apart = config.decontaminate
    against = tuple(one.model_copy(update={"path": path(one.path)}) for one in apart.against)
    addresses: dict[str, Any] = {role: address(getattr(config, role)) for role in _ADDRESSES}
    addresses |= {"panel": tuple(address(one) for one in config.panel)}
    return config.model_copy(
        update={
            "source": source.model_copy(update=changed),
            "search": search.model_copy(update={"rerank": address(search.rerank)}),
            "lake": path(config.lake),
            "store": config.store.model_copy(update={"path": path(config.store.path)}),
            "decontaminate": apart.model_copy(update={"against": against}),
            "vllm": config.vllm.model_copy(update={"executable": program(config.vllm.executable)}),
            "checkpoint": config.checkpoint.model_copy(update={"python": program(config.checkpoint.python)}),
            # A model that is a folder has its settings under that name.
            "models": {renamed.get(model, model): settings for model, settings in config.models.items()},
        }
        | addresses
    )
