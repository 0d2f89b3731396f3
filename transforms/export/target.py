"""What an export is made for: a format, and the backbone whose frame it is in."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.images import CropSettings
from gog.transforms.services.search.settings import SearchSettings

THINKING: Final = True
"""Trajectories hold reasoning, so a trainer's template shows it in thoughts unless told otherwise."""


OWN: Final = "parquet"
"""The engine's own format, in the frame of the run."""


class ToolSettings(BaseModel):
    """How a run's tools work, beside the limits of its episode: a policy in training gets the same ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crops: CropSettings = CropSettings()
    search: SearchSettings = SearchSettings()


@dataclass(frozen=True, slots=True)
class Target:
    """A format's name with its backbone; `parquet` has none."""

    format: str = OWN
    backbone: Backbone | None = None
    thinking: bool = THINKING
    """Whether the backbone thinks: a turn's reasoning stands in `<think>` tags; else it is plain text."""

    def __post_init__(self) -> None:
        if (self.format == OWN) != (self.backbone is None):
            raise ValueError("a trainer's format needs a backbone, and parquet has none")
        if self.backbone:
            BACKBONES[self.backbone.name]  # manifests name it so, and trainers look it up: a dotted path will not do
            if self.backbone.formats and self.format not in self.backbone.formats:
                raise ValueError(
                    f"no trainer of {self.format} was seen to read {self.backbone.name}: "
                    f"use --format {' or '.join(self.backbone.formats)}"
                )

    @property
    def folder(self) -> str:
        """Name of its folder among a run's exports; empty for the engine's own, which stands there itself."""
        return f"{self.format}-{self.backbone.name}" if self.backbone else ""

    def episode(self, settings: EpisodeSettings) -> EpisodeSettings:
        """The episode as the export shows it."""
        return settings.in_frame(self.backbone.spec) if self.backbone else settings

    def facts(self) -> dict[str, object]:
        """What the manifest says of it."""
        if self.backbone is None:
            return {"format": self.format, "backbone": None}
        backbone = self.backbone
        return {
            "format": self.format,
            "backbone": {
                "name": backbone.name,
                "model_type": backbone.model_type,
                "frame": backbone.frame.value,
                "factor": backbone.factor,
                "min_pixels": backbone.min_pixels,
                "max_pixels": backbone.max_pixels,
                "thinking": self.thinking,
            },
        }


TOOLS: Final = ToolSettings()
"""The defaults of a config."""

PLAIN: Final = Target()
"""The engine's own export."""
