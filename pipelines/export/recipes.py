"""What a trainer needs beside the data: its config, its tools, its chat template, and the command that starts it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, StrictUndefined

from gog.pipelines.export.card_data import CardFacts
from gog.schemas import Split
from gog.transforms.dialect.backbones import Backbone
from gog.transforms.episode.machine import EpisodeSettings, offered_tools
from gog.transforms.export import llama_factory
from gog.transforms.export.target import THINKING, Format, Target

CUTOFF: Final = 16384
"""Tokens of the longest row that is trained on; estimates of the export are rough."""

_TOOL_CLASS: Final = "gog_train.verl.tools.EpisodeTool"


def write_recipe(folder: Path, target: Target, facts: CardFacts, episode: EpisodeSettings) -> None:
    """Write the files of a format's recipe into an export's folder."""
    if target.backbone is None:
        return
    match target.format:
        case Format.VERL:
            _write_verl(folder, target.backbone, facts, episode)
        case Format.LLAMA_FACTORY:
            _write_llama_factory(folder, target.backbone, facts)
        case Format.MS_SWIFT if facts.kind == "sft":
            _write_ms_swift(folder, target.backbone, facts)


def _write_verl(folder: Path, backbone: Backbone, facts: CardFacts, episode: EpisodeSettings) -> None:
    def parquet(split: Split) -> str:
        # Nobody validates on a split that is not there: verl wants a file, and gets the one it trains on.
        name = split if split.value in facts.filled else Split.TRAIN
        found = sorted(folder.glob(f"{name.value}-*.parquet"))
        return ", ".join(f'"${{oc.env:GOG_EXPORT}}/{path.name}"' for path in found)

    values = {
        "train_files": parquet(Split.TRAIN),
        "val_files": parquet(Split.VALIDATION),
        "patch_size": backbone.factor // backbone.merge,
        "tool_parser": backbone.tool_parser,
        "episode": episode,
        "backbone": backbone.name,
        "example": backbone.example,
        "atlas": facts.atlas,
    }
    (folder / "grpo.yaml").write_text(_rendered("verl/grpo.yaml.j2", values), "utf-8")
    _write_script(folder / "launch.sh", _rendered("verl/launch.sh.j2", values))
    (folder / "tools.yaml").write_text(_tools_yaml(episode), "utf-8")
    (folder / "chat_template.jinja").write_text(backbone.template(thinking=THINKING).text, "utf-8")


def _tools_yaml(episode: EpisodeSettings) -> str:
    config = {
        "type": "native",
        "export": "${oc.env:GOG_EXPORT}",
        "calls": "${oc.env:GOG_CALLS}",
        "text_search": "${oc.env:GOG_TEXT_SEARCH}",
        "image_search": "${oc.env:GOG_IMAGE_SEARCH}",
        "pages": "${oc.env:GOG_PAGES,''}",
    }
    tools = [
        # The schema twice, once as a copy: YAML writes what it meets again as an alias.
        {"class_name": _TOOL_CLASS, "config": config | {"schema": copy}, "tool_schema": schema}
        for schema, copy in zip(offered_tools(episode), offered_tools(episode), strict=True)
    ]
    return yaml.safe_dump({"tools": tools}, sort_keys=False, allow_unicode=True, width=1000)


def _write_llama_factory(folder: Path, backbone: Backbone, facts: CardFacts) -> None:
    info = {
        f"gog_{split}": {"file_name": f"{split}.jsonl", "formatting": "sharegpt", "columns": llama_factory.COLUMNS}
        for split in facts.filled
    }
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=1) + "\n", "utf-8")
    values = {
        "example": backbone.example,
        "min_pixels": backbone.min_pixels,
        "most_pixels": 2 * backbone.max_pixels,
        "template": backbone.llama_factory,
        "cutoff": CUTOFF,
        "validation": Split.VALIDATION.value in facts.filled,
    }
    (folder / "sft.yaml").write_text(_rendered("llama_factory/sft.yaml.j2", values), "utf-8")


def _write_ms_swift(folder: Path, backbone: Backbone, facts: CardFacts) -> None:
    tokens = backbone.max_pixels // backbone.factor**2
    least = -(-backbone.min_pixels // backbone.factor**2)
    by_tokens = backbone.swift_budget == "tokens"
    values = {
        "example": backbone.example,
        "tool_parser": backbone.tool_parser,
        "most": f"IMAGE_MAX_TOKEN_NUM={tokens}" if by_tokens else f"MAX_PIXELS={backbone.max_pixels}",
        "least": f"IMAGE_MIN_TOKEN_NUM={least}" if by_tokens else f"MIN_PIXELS={backbone.min_pixels}",
        "cutoff": CUTOFF,
        "validation": Split.VALIDATION.value in facts.filled,
    }
    _write_script(folder / "sft.sh", _rendered("ms_swift/sft.sh.j2", values))


def _write_script(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def _rendered(name: str, values: dict[str, Any]) -> str:
    environment = Environment(
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and shell, of our own values alone
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = files("gog.pipelines").joinpath("templates", *name.split("/")).read_text("utf-8")
    return environment.from_string(source).render(values)
