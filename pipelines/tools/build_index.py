"""A local search world out of one's own pictures and pages: a gallery and a corpus under one folder."""

from dataclasses import dataclass
from pathlib import Path

from gog.pipelines.tools.index_sources import IndexSources
from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.encoders_of import NamedEncoder
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.search.index_cache import changed
from gog.transforms.services.search.vector_cells import Cells


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What went into the index, and what stayed out: where it was, and why."""

    pictures: int
    untitled: int
    """Pictures that no text names: their file name is their title."""
    captions: int
    """Pictures that the texts name."""
    matched: int
    """Of these, how many are there and can be read."""
    pages: int
    passages: int
    cells: dict[str, Cells]
    """Of the pictures and of the passages (`gallery`, `corpus`), where they are too many to be searched exactly."""
    skipped: tuple[tuple[str, str], ...]


def build_index(
    sources: IndexSources,
    out: Path,
    *,
    image_encoder: NamedEncoder | None = None,
    text_encoder: NamedEncoder | None = None,
) -> IndexReport:
    """Write `out/gallery` and `out/corpus`, in a folder or on an object store; earlier ones are replaced.

    A text with an image makes an entry of the gallery and, like any text, a page of the corpus. What cannot be read is
    left out and reported. Encoders make vectors of what an earlier index does not have. Raises `ServiceError` where one
    fails.
    """
    if isinstance(out, ObjectPath):
        needed = [kind for kind, encoder in (("gallery", image_encoder), ("corpus", text_encoder)) if encoder]
        with changed(out, (*needed,), ("gallery", "corpus")) as folder:
            return _build(sources, folder, out.name, image_encoder, text_encoder)
    return _build(sources, out, out.resolve().name, image_encoder, text_encoder)


def _build(
    sources: IndexSources,
    out: Path,
    name: str,
    image_encoder: NamedEncoder | None,
    text_encoder: NamedEncoder | None,
) -> IndexReport:
    gallery = build_gallery(sources.pictures(), out / "gallery", name=name, encoder=image_encoder)
    corpus = build_corpus(sources.pages(), out / "corpus", name=name, encoder=text_encoder)
    skipped = [*sources.skipped, *gallery.skipped, *corpus.skipped]
    return IndexReport(
        pictures=gallery.pictures,
        untitled=sources.untitled(skipped),
        captions=sources.captions,
        matched=len(sources.matched),
        pages=corpus.pages,
        passages=corpus.passages,
        cells={name: found for name, found in (("gallery", gallery.cells), ("corpus", corpus.cells)) if found},
        skipped=tuple(skipped),
    )
