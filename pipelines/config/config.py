"""The configuration of a run: one YAML file, closed to unknown keys, every key with a default but the source's.

The fingerprint leaves out what changes no record (limits, budget, store, timing), and what a finished run may be
given anew: the labeller with its settings, and the export's, whose steps note what they were made from.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gog.pipelines.config.paths import as_written, rooted
from gog.pipelines.config.problems import problems_of
from gog.pipelines.config.sources import AtlasSource, SourceSettings
from gog.schemas import Behaviour, FailureClass, canonical_json
from gog.schemas.errors import UsageError
from gog.transforms.curate.balance import BalanceSettings
from gog.transforms.curate.splits import SplitSettings
from gog.transforms.duplicates.benchmarks.settings import DecontaminateSettings
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.export.rows import ExportSettings
from gog.transforms.filters.use import FilterUse
from gog.transforms.images import CropSettings
from gog.transforms.ingest.seeds import IngestLimits
from gog.transforms.label.tries import LabelSettings
from gog.transforms.nearby import beside
from gog.transforms.object_path import AddressError
from gog.transforms.place import check_address
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.gateway.gate import Limits
from gog.transforms.services.gateway.prices import Price
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.checkpoint import CheckpointSettings
from gog.transforms.services.models.provider import NamedModels
from gog.transforms.services.models.vllm import VllmSettings
from gog.transforms.services.pages.reading import ReadingSettings
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import MODELS, checked
from gog.transforms.services.search.settings import SearchSettings
from gog.transforms.services.search.upload import UploadSettings
from gog.transforms.synthesize.propose import ProposeSettings
from gog.transforms.synthesize.screen import ScreenSettings
from gog.transforms.synthesize.settings import StageSettings, SynthesizeSettings
from gog.transforms.yaml_text import YamlError, load_yaml


class ConfigError(UsageError, ValueError):
    """The configuration is wrong; the message is one line that names the keys and says what to do.

    `problems` has what is wrong key by key, where that is known.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ConfigTable(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Curate(ConfigTable):
    """What is kept of what was verified."""

    keep: int = Field(default=1, ge=1)
    """Trajectories a seed, at most."""
    prefer_reflective: bool = True
    """Of several right attempts prefer one that noticed and changed a wrong focus, before one with fewer tool calls."""
    balance: BalanceSettings = BalanceSettings(shares={Behaviour.DIRECT: 0.435})
    """Target shares of behaviours."""
    splits: SplitSettings = SplitSettings()
    """Validation, and what RL keeps for itself."""
    near_duplicate_bits: int = Field(default=4, ge=0, le=16)
    """Bits in which the perceptual hashes of pictures may differ that are compared by their pixels: whether a seed is
    a near-duplicate is decided at ingest."""


class Ceiling(ConfigTable):
    """At a ceiling no new call is made; the run ends with exit code 1 and can go on with a higher one."""

    max_cost: float | None = Field(default=None, ge=0)
    """US dollars."""
    max_calls: int | None = Field(default=None, ge=0)
    """Calls of services; an answer that is kept already is none."""
    max_hours: float | None = Field(default=None, ge=0)
    """Hours that the run is at work, over all its processes; pauses between them do not count."""
    slices: int | None = Field(default=None, ge=1)
    """Where several workers share the ceilings: in how many slices calls and money are leased to them, many more than
    workers. What a killed worker had leased counts as spent."""


class StoreSettings(ConfigTable):
    """How answers of the outside are kept."""

    mode: Literal["live", "record", "replay"] = "record"
    """`record` keeps answers and asks only for what is new, `replay` asks for nothing, `live` asks for everything and
    keeps nothing."""
    backend: Literal["sqlite", "postgresql"] = "sqlite"
    """`sqlite` for one machine; `postgresql`, one state that the workers of many share, goes with its address."""
    path: str = ""
    """A folder, or postgresql://USER@HOST/DATABASE without its password;
    LAKE/store by default where the lake is a folder. `store: ADDRESS` is short for `store: {path: ADDRESS}`."""
    lifetimes: dict[FailureClass, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Days that kept failures of a class count; by default permanent ones for ever and passing ones never."""
    refresh: tuple[str, ...] = ()
    """Kinds of answers that are bought anew,"""
    refresh_before: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """where they were kept before this time (seconds since 1970)."""

    @model_validator(mode="before")
    @classmethod
    def _address(cls, given: Any) -> Any:
        """An address alone, and the backend that goes with one; a secret in it is refused, and not shown."""
        values: Any = {"path": given} if isinstance(given, str) else given
        if isinstance(values, dict) and values.get("backend") == "segments":
            raise ValueError("stores of segments are no more: many workers share postgresql://USER@HOST/DATABASE")
        path = values.get("path") if isinstance(values, dict) else None
        if isinstance(path, str) and path.startswith(("postgresql:", "postgres:")):
            from gog.transforms.services.store.postgres.database import secret_in

            if secret := secret_in(path):
                raise ValueError(
                    f"the address has {secret} in it, and configs are kept: take it out, and set PGPASSWORD or a "
                    "password file (PGPASSFILE)"
                )
            return {"backend": "postgresql"} | values
        return values

    @model_validator(mode="after")
    def _place(self) -> Self:
        if (self.backend == "postgresql") != self.path.startswith(("postgresql://", "postgres://")):
            raise ValueError("backend postgresql goes with a path postgresql://USER@HOST/DATABASE, and no other does")
        if "://" in self.path and self.backend == "sqlite":
            raise ValueError(f"{self.path} is no folder: name one of this machine, or postgresql://USER@HOST/DATABASE")
        return self


class Config(ConfigTable):
    """A run."""

    folder: str = ""
    """Where it was read from: relative paths in the file start there. It cannot be set."""
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "run"
    """Name of the run; its records lie in LAKE/runs/NAME."""
    lake: str = "./lake"
    """Pictures and the records of all runs: a folder, which keeps answers too, or s3://, gs:// or az://BUCKET/NAME."""
    seed: int = 0
    """What every draw starts from: the same seed draws the same."""
    filters: tuple[FilterUse, ...] = ()
    """What else leaves after ingest, screen, verify or curate: functions by name or dotted path."""
    shard_size: int = Field(default=1000, ge=1)
    """Rows a shard: what is written, repeated and gone on with as a whole."""
    source: SourceSettings = AtlasSource()
    """Where rows come from."""
    teacher: str = "planner:skill=0.85"
    """Model that screens questions and writes trajectories: `https://HOST/v1#MODEL`, `vllm:MODEL`, or the rule-based
    `planner:` of the bundled world."""
    judge: str = "planner:skill=1"
    """Model that is asked where rules cannot tell whether an answer is right."""
    panel: tuple[str, ...] = ()
    """Further judges: all are asked side by side, and most of those that can be read decide; a tie is unknown."""
    labeller: str = "planner:skill=0.5"
    """Policy whose complexity labels are made: normally the SFT model."""
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    """How models behind endpoints are spoken to, by name: what stands behind the # of their address."""
    vllm: VllmSettings = VllmSettings()
    """How `vllm:MODEL` starts its server."""
    checkpoint: CheckpointSettings = CheckpointSettings()
    """How `checkpoint:FOLDER` starts its server."""
    detector: str = "segments:"
    """Empty for none."""
    detect: DetectSettings = DetectSettings()
    """What detectors with weights are told."""
    text_search: str = "corpus:atlas"
    """`corpus:INDEX` for texts of your own, or a search engine: `gog doctor` lists those there are."""
    image_search: str = "gallery:atlas"
    """`gallery:INDEX` for pictures of your own, or an engine that searches by picture."""
    search: SearchSettings = SearchSettings()
    """What search engines of the web are told, and who puts the hits of a text search in order."""
    pages: str = ""
    """Who reads the pages of text search's hits, and those of the tool `visit` (`local:` or `jina:`); empty: nobody."""
    reading: ReadingSettings = ReadingSettings()
    """How much of pages is read."""
    contact: str = Field(default="", max_length=200, pattern=r"^[ -~]*$")
    """Your e-mail address or URL, which sites are told whose pages and pictures are fetched: Wikimedia refuses
    whoever names none."""
    uploader: UploadSettings | None = None
    """Where pictures are lent to image searches that take them by address; without it nothing is uploaded."""
    episode: EpisodeSettings = EpisodeSettings()
    """Limits of an episode, its tools, and the frame of boxes."""
    crops: CropSettings = CropSettings()
    """How a region becomes a crop."""
    ingest: IngestLimits = IngestLimits()
    """What rows and pictures may hold."""
    decontaminate: DecontaminateSettings = DecontaminateSettings()
    """Benchmarks that nothing of the run may overlap."""
    screen: ScreenSettings = ScreenSettings()
    """How questions are found that need no search."""
    propose: ProposeSettings = ProposeSettings()
    """How regions are found that hints and plans name."""
    synthesize: SynthesizeSettings = SynthesizeSettings()
    """Attempts a seed, and how they are made."""
    curate: Curate = Curate()
    """What is kept of what was verified."""
    label: LabelSettings = LabelSettings()
    """How complexity is labelled."""
    export: ExportSettings = ExportSettings()
    """What goes into the splits."""
    window: int = Field(default=64, ge=1, le=4096)
    """Seeds or attempts in flight, per process."""
    limits: dict[str, Limits] = Field(default_factory=dict)
    """Limits by provider: the part of its address before the colon, or `HOST:PORT` of a URL."""
    retry: Retry = Retry()
    """How passing failures are tried again."""
    budget: Ceiling = Ceiling()
    """Ceilings of the whole run."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Of services by the id that rows name them with, or what it begins with; on top of the list that comes along."""
    store: StoreSettings = StoreSettings()
    """How answers of the outside are kept."""

    @property
    def judges(self) -> tuple[str, ...]:
        """The judge, and the others of its panel."""
        return (self.judge, *self.panel)

    @field_validator("lake")
    @classmethod
    def _folder(cls, lake: str) -> str:
        try:
            check_address(lake)
        except AddressError as error:
            raise ValueError(str(error)) from None
        return lake

    @property
    def stages(self) -> StageSettings:
        """What the stages from screen to verify need to know."""
        return StageSettings(
            run_seed=self.seed,
            episode=self.episode,
            screen=self.screen,
            propose=self.propose,
            synthesize=self.synthesize,
            filters=self.filters,
        )


_NOT_IN_FINGERPRINT = {
    "folder",
    *("filters", "run", "lake", "window", "limits", "retry", "budget", "prices", "store"),
    *("contact", "labeller", "label", "export", "models", "vllm", "checkpoint", "uploader", "panel"),
}


def fingerprint(config: Config) -> str:
    """16 hex digits that change when, and only when, records from seeds to groups could."""
    config = as_written(config)
    dumped = config.model_dump(mode="json", exclude=_NOT_IN_FINGERPRINT)
    dumped["detect"] = config.detect.suffix
    del dumped["episode"]["pinned"]  # follows from the tools, and a run refuses what differs
    if not config.episode.fold:
        del dumped["episode"]["fold"]  # runs that were begun before there was such a setting go on
    if config.episode.calls_per_turn == 1:
        del dumped["episode"]["calls_per_turn"]  # likewise
    if not config.episode.image_query:
        del dumped["episode"]["image_query"]  # likewise
    if config.episode.question_images == 1:
        del dumped["episode"]["question_images"]  # likewise
    if not dumped["source"].get("mapping", {}).get("further_images", True):
        del dumped["source"]["mapping"]["further_images"]  # likewise
    if not config.search.rerank:
        del dumped["search"]["rerank"], dumped["search"]["reranked"]  # likewise
    if config.filters:
        dumped["filters"] = [use.identity for use in config.filters]
    for role in ("teacher", "judge"):
        dumped[role] = _model_of(config, dumped[role])
    dumped |= {"panel": [_model_of(config, address) for address in config.panel]} if config.panel else {}
    return hashlib.sha256(canonical_json(dumped).encode()).hexdigest()[:16]


def _model_of(config: Config, address: str) -> str:
    """A model's address as far as records depend on it: not on where its endpoint is."""
    opening = Opening(address, sections=(NamedModels(config.models), config.vllm), calls=False)
    with suppress(ProviderError):  # told where it is opened
        provider, opening = checked(MODELS, opening)
        return provider.identify(opening) if provider.placeless else address
    return address


def parse_config(data: Any, origin: str = "config") -> Config:
    """The config of loaded YAML. Raises `ConfigError`."""
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: expected keys and values at the top, found {type(data).__name__}")
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, Config)
    # Raised here, so that it does not hold pydantic's error, whose circle with its traceback Python cannot free.
    raise ConfigError(f"{origin}: {'; '.join(problems)}", tuple(problems))


def load_config(path: Path | str | None = None, **changes: Any) -> Config:
    """Read a YAML file, or the bundled world where none is named. Raises `ConfigError`.

    `changes` stand in for its keys, in sections key by key: `load_config(lake="/data/lake", source={"count": 48})`.
    """
    config = bundled("atlas") if path is None else _read(Path(path))
    return parse_config(_changed(config.model_dump(mode="json"), changes), "changes") if changes else config


def _read(path: Path) -> Config:
    data = _yaml(path)
    if isinstance(data, dict) and data.get("folder"):
        raise ConfigError(f"{path}: folder: relative paths start in the folder of the file; this key cannot be set")
    return rooted(parse_config(data, str(path)), "" if str(path.parent) == "." else str(path.parent))


def _yaml(path: Path) -> Any:
    try:
        data = load_yaml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{beside(path, '*.y*ml')}; `gog init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except YamlError as error:
        raise ConfigError(f"{path}: not valid YAML, {error}") from None
    return {} if data is None else data


def _changed(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _changed(data[key], value)
        for key, value in changes.items()
        if isinstance(data.get(key), dict) and isinstance(value, Mapping)
    }
    return data | dict(changes) | both


def bundled(name: str) -> Config:
    """A config that comes with the engine."""
    return parse_config(load_yaml(bundled_text(name)), f"{name}.yaml")


def bundled_text(name: str) -> str:
    """Its text."""
    return files("gog.pipelines").joinpath("configs", f"{name}.yaml").read_text("utf-8")
