"""The backbones that are trained: one file a family, with all that an export, a trainer and a server have to agree on.

[project.entry-points."gog.backbones"]
"internvl3.5" = "my_pkg.internvl:BACKBONE"
"""

from typing import Annotated

from pydantic import AfterValidator

from gog.transforms.dialect.backbones.family import Backbone, Template
from gog.transforms.open_set import OpenSet

BACKBONES: OpenSet[Backbone] = OpenSet("backbone", "gog.backbones", "gog.transforms.dialect.backbones", "BACKBONE")

FamilyName = Annotated[str, AfterValidator(lambda name: BACKBONES[name] and name)]
"""The name of a backbone, in settings."""

__all__ = ["BACKBONES", "Backbone", "FamilyName", "Template"]
