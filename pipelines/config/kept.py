"""The config of a run as its manifest keeps it: it can be taken up from any folder, and moves with the lake."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.config.paths import as_written, rooted


def kept(config: Config) -> dict[str, Any]:
    """The config as it was written, and where its folder is, seen from the lake."""
    return as_written(config).model_dump(mode="json") | {"folder": os.path.relpath(config.folder or ".", config.lake)}


def taken_up(data: Mapping[str, Any], lake: Path, run: str) -> Config:
    """What `kept` gave, with its paths seen from here. Raises `ConfigError` where another version has kept it."""
    config = parse_config({**data, "folder": ""}, f"the manifest of the run {run!r}")
    if "folder" in data:
        folder = os.path.relpath(lake / str(data["folder"]))
        config = rooted(config, "" if folder == "." else folder)
    return config.model_copy(update={"lake": str(lake), "run": run})
