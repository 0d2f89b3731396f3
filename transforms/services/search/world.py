"""`world:FOLDER` searches that are answered out of a sealed world (`sealed_world`), without a network."""

from pathlib import Path

from gog.transforms.services.protocols import ImageSearch, TextSearch
from gog.transforms.services.provider import Opening, Provider
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.encoders_of import address_in, check_encoder
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.services.search.index_folder import read_head
from gog.transforms.services.search.sealed_world import INDEX, SealedSearch, SealedWorld, has_world


def _text_search(opening: Opening) -> TextSearch:
    world, index = SealedWorld(Path(opening.rest)), Path(opening.rest) / INDEX / "corpus"
    corpus = Corpus.open(index, calls=opening.calls) if index.is_dir() else None
    return SealedSearch(world, "text_search", corpus, opening.images)


def _image_search(opening: Opening) -> ImageSearch:
    world, index = SealedWorld(Path(opening.rest)), Path(opening.rest) / INDEX / "gallery"
    gallery = Gallery.open(index, opening.images, calls=opening.calls) if index.is_dir() else None
    return SealedSearch(world, "image_search", gallery, opening.images)


def _fits(opening: Opening, kind: str, index: str) -> bool:
    there, folder = has_world(opening, kind), Path(opening.rest) / INDEX / index
    if folder.is_dir():
        head = read_head(folder, index)
        check_encoder(head | {"encoder": address_in(folder, head)}, opening)
    return there


TEXT_SEARCH = Provider[TextSearch](
    name="world",
    rest="path",
    example="world:FOLDER",
    embedded=True,
    fits=lambda opening: _fits(opening, "text_search", "corpus"),
    open=_text_search,
)
IMAGE_SEARCH = Provider[ImageSearch](
    name="world",
    rest="path",
    example="world:FOLDER",
    embedded=True,
    fits=lambda opening: _fits(opening, "image_search", "gallery"),
    open=_image_search,
)
