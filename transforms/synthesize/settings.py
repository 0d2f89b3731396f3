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
    """Attempts that the teacher acts out freely."""
    composed: int = Field(default=1, ge=0)
    """Attempts along a plan, drawn from searches that were run before."""
    rollout: RolloutSettings = RolloutSettings()
    """How the teacher acts."""
    compose: ComposeSettings = ComposeSettings()
    """How plans are drawn."""

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
