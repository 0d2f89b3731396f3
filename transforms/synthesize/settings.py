"""Settings of all stages together, as the pipelines hand them to workers."""

from pydantic import BaseModel, ConfigDict, Field

from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.filters.use import FilterUse
from gog.transforms.synthesize.compose import ComposeSettings
from gog.transforms.synthesize.propose import ProposeSettings
from gog.transforms.synthesize.rollout import RolloutSettings
from gog.transforms.synthesize.screen import ScreenSettings


class SynthesizeSettings(BaseModel):
    """Attempts a seed: k = rollouts + composed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollouts: int = Field(default=3, ge=0)
    composed: int = Field(default=1, ge=0)
    rollout: RolloutSettings = RolloutSettings()
    compose: ComposeSettings = ComposeSettings()

    @property
    def attempts(self) -> int:
        """Attempts a seed."""
        return self.rollouts + self.composed


class StageSettings(BaseModel):
    """What the stages from screen to verify do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_seed: int = 0
    episode: EpisodeSettings = EpisodeSettings()
    screen: ScreenSettings = ScreenSettings()
    propose: ProposeSettings = ProposeSettings()
    synthesize: SynthesizeSettings = SynthesizeSettings()
    filters: tuple[FilterUse, ...] = ()
