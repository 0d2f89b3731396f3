"""What a provider of models is beside what every provider is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.protocols import Policy
from gog.transforms.services.provider import Opening, Provider


@dataclass(frozen=True, slots=True)
class NamedModels:
    """How models are spoken to, by name, and how those that have none here; where servers write their logs."""

    by_name: Mapping[str, ModelSettings] = field(default_factory=dict)
    others: ModelSettings = field(default_factory=ModelSettings)
    logs: Path = Path("logs")

    def __getitem__(self, name: str) -> ModelSettings:
        """How the model of a name is spoken to."""
        return self.by_name.get(name, self.others)


def settings_by_rest(opening: Opening) -> ModelSettings:
    """Settings of the model that the rest of the address names."""
    return opening.of(NamedModels)[opening.rest]


@dataclass(frozen=True, slots=True)
class Server:
    """What is started for a model."""

    executable: str
    advice: str
    """What to do where it is not there."""
    in_flight: int | None = None
    """Requests that it shall have at once, where that is not the window."""


@dataclass(frozen=True, kw_only=True)
class ModelProvider(Provider[Policy]):
    """A provider of chat models."""

    identify: Callable[[Opening], str]
    """The model's id, without opening it. Raises `ProviderError`."""
    settings: Callable[[Opening], ModelSettings] = settings_by_rest
    """How it is spoken to. Raises `ProviderError`."""
    placeless: bool = False
    """Whether records depend on the model's id alone, not on where its address says that it is."""
    server: Callable[[Opening], Server] | None = None
    """The server that a run starts for it, if any."""
