"""`world:FOLDER` pages as they were read when a world was sealed (`gog.transforms.services.search.sealed_world`)."""

from pathlib import Path

from gog.transforms.services.protocols import PageReader
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.sealed_world import SealedReader, SealedWorld, has_world

READER = Provider[PageReader](
    name="world",
    rest="path",
    example="world:FOLDER",
    embedded=True,
    fits=lambda opening: has_world(opening, "page"),
    open=lambda opening: SealedReader(SealedWorld(Path(opening.rest))),
)
