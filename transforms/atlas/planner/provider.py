"""`planner:skill=0.85`: the embedded planner as a provider of models."""

from gog.transforms.atlas.planner.policy import Planner, planner_id, skill_of
from gog.transforms.services.models.provider import ModelProvider

MODEL = ModelProvider(
    name="planner",
    example="planner:skill=0.85",
    fits=lambda opening: skill_of(opening.address) >= 0,
    open=lambda opening: Planner(opening.images, skill_of(opening.address)),
    identify=lambda opening: planner_id(skill_of(opening.address)),
    placeless=True,
    embedded=True,
)
