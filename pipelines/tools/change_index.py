"""Pictures and pages that come to an index, and that leave it, without a new build of what stays."""

from collections.abc import Iterator, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gog.pipelines.tools.index_sources import IndexSources
from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.corpus_change import add_pages, addresses_in, remove_pages, told_in
from gog.transforms.services.search.gallery_change import Added, add_pictures, names_in, remove_pictures
from gog.transforms.services.search.index_cache import changed
from gog.transforms.services.search.index_folder import MAX_ADDRESS, clean, read_head

_KINDS: Final = ("gallery", "corpus")


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of what was to be added."""

    gallery: Added
    corpus: Added
    skipped: tuple[tuple[str, str], ...]
    """Left out: where it is, and why."""


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """How many pictures and pages left, and which names nothing had."""

    pictures: int
    pages: int
    missing: tuple[str, ...]


def add_to_index(sources: IndexSources, out: Path) -> AddReport:
    """Add pictures and pages to the indexes at a place, each whole before and after; their own encoders are asked.

    Raises `IndexFolderError` where there is none, `IndexUnwrittenError`, `ServiceError` where an encoder fails.
    """
    with _worked_on(out) as folder:
        gallery = add_pictures(folder / "gallery", sources.pictures(), sources.alone)
        corpus = add_pages(folder / "corpus", sources.pages(partial(told_in, folder / "corpus")))
    return AddReport(gallery, corpus, (*sources.skipped, *gallery.skipped, *corpus.skipped))


def remove_from_index(addresses: Set[str], sha256s: Set[str], out: Path) -> RemoveReport:
    """Take out what has one of the addresses, pictures and pages, and pictures whose file has one of the hashes.

    Raises `IndexFolderError` where there is no index, and `IndexUnwrittenError`.
    """
    known = {clean(address, MAX_ADDRESS): address for address in addresses}
    with _worked_on(out) as folder:
        gallery, corpus = folder / "gallery", folder / "corpus"
        there = addresses_in(corpus, known.keys()) | names_in(gallery, known.keys() | sha256s)
        pictures = remove_pictures(gallery, sha256s, known.keys())
        pages = remove_pages(corpus, known.keys())
    missing = sorted({known[one] for one in known.keys() - there} | (sha256s - there))
    return RemoveReport(pictures, pages, tuple(missing))


@contextmanager
def _worked_on(out: Path) -> Iterator[Path]:
    """A folder with the indexes of a place, which are put there when the block ends well."""
    place = changed(out, _KINDS, _KINDS) if isinstance(out, ObjectPath) else nullcontext(out)
    with place as folder:
        for kind in _KINDS:
            read_head(folder / kind, kind)
        yield folder
