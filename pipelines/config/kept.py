"""The config of a run as its manifest keeps it: it can be taken up from any folder, and moves with the lake."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.config.paths import as_written, rooted
from gog.transforms.place import is_remote


def kept(config: Config) -> dict[str, Any]:
    """The config as it was written, and where its folder is, seen from the lake; as it is, where that is no folder."""
    folder = config.folder or "."
    seen = str(Path(folder).absolute()) if is_remote(config.lake) else os.path.relpath(folder, config.lake)
    return as_written(config).model_dump(mode="json") | {"folder": seen}


def taken_up(data: Mapping[str, Any], lake: Path, run: str) -> Config:
    """What `kept` gave, with its paths seen from here. Raises `ConfigError` where another version has kept it."""
    config = parse_config({**data, "folder": ""}, f"the manifest of the run {run!r}")
    if "folder" in data:
        seen = str(data["folder"])
        folder = os.path.relpath(seen if is_remote(str(lake)) else lake / seen)
        config = rooted(config, "" if folder == "." else folder)
    return config.model_copy(update={"lake": str(lake), "run": run})
