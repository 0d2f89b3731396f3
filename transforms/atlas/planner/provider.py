"""`planner:skill=0.85`: the embedded planner as a provider of models."""

from gog.transforms.atlas.planner.policy import Planner, planner_id, skill_of
from gog.transforms.services.models.provider import ModelProvider
from gog.transforms.services.provider import Opening, ProviderError


def _skill(opening: Opening) -> float:
    try:
        return skill_of(opening.address)
    except ValueError as error:
        raise ProviderError(str(error)) from None


MODEL = ModelProvider(
    name="planner",
    example="planner:skill=0.85",
    fits=lambda opening: _skill(opening) >= 0,
    open=lambda opening: Planner(opening.images, skill=_skill(opening)),
    identify=lambda opening: planner_id(_skill(opening)),
    embedded=True,
)
