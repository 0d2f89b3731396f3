"""What an export reads and what is asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gog.pipelines.lake.reviews import ByReviewer
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import ExportSettings
from gog.transforms.export.target import PLAIN, TOOLS, Target, ToolSettings
from gog.transforms.image_store import ImageStore


@dataclass(frozen=True, slots=True)
class SourceRun:
    """The run that is read. `reviews` are those that count, by trajectory and reviewer.

    `plugins` is what it took from other distributions, with their versions.
    """

    folder: Path
    images: ImageStore
    episode: EpisodeSettings
    fingerprint: str = ""
    reviews: Mapping[str, ByReviewer] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The export that is written; `tools` are the run's, and `policy` is whose levels RL splits go by."""

    settings: ExportSettings = field(default_factory=ExportSettings)
    target: Target = PLAIN
    tools: ToolSettings = TOOLS
    policy: str | None = None
    out: Path | None = None
    """The folder of the export, where it is not that of the run."""
    replace: bool = True
    """Whether it may take the place of one with more rows."""
    on_ready: Callable[[], None] = field(default=lambda: None)
    """Called when it is whole and about to take its place."""
