"""A world sealed for trainings: what a run's searches, pages and tools said, and the indexes that answer the rest."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config
from gog.pipelines.connect.addresses import open_at, open_reader
from gog.pipelines.lake.lake import Lake
from gog.schemas import Hit, Seed
from gog.transforms.atlas.world import atlas_world
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.protocols import ImageSearch, ServiceError
from gog.transforms.services.provider import Opening
from gog.transforms.services.providers import IMAGE_SEARCHES, TEXT_SEARCHES
from gog.transforms.services.search.index_place import Bundled, index_of
from gog.transforms.services.search.sealing import INDEXES, TOOL, Asked, Sealed, seal_world
from gog.transforms.services.store.forms import HITS
from gog.transforms.services.store.keys import request_key, search_request
from gog.transforms.services.store.records import AnyStore, Choice, Dated, Entry, Kept

_AT_ONCE: Final = 64


def seal(config: Config, store: AnyStore, folder: Path, run: str | None) -> Sealed:
    """Write the sealed world of a config, of what a run, or all runs, asked its store.

    The whole pictures of the run's seeds (the config's run, unless one is named) are searched with beforehand, where
    that asks an index of this machine. Raises `ConfigError`, `StoreError`, `WorldError` and, where an encoder fails,
    `ServiceError`.
    """
    lake = Lake(config.lake)
    asked = _asked(config, lake)
    kept = store.choose(Choice(kinds=(*asked, TOOL), run=run))
    glances = _glances(config, lake, run or config.run, store) if asked["image_search"].index else iter(())
    return seal_world(folder, folder.name, asked, chain(kept, glances), lake.images)


def _asked(config: Config, lake: Lake) -> dict[str, Asked]:
    """By kind of call; nobody is asked, so no key is needed."""
    quiet = _in_mode(config, "replay")
    text_search = open_at(TEXT_SEARCHES, config.text_search, quiet, lake=lake)
    image_search = open_at(IMAGE_SEARCHES, config.image_search, quiet, images=lake.images, lake=lake)
    asked = {
        "text_search": Asked(text_search.id, _index(config.text_search, "text_search", lake)),
        "image_search": Asked(image_search.id, _index(config.image_search, "image_search", lake)),
    }
    return asked | ({"page": Asked(open_reader(config.pages, quiet).id)} if config.pages else {})


def _in_mode(config: Config, mode: str) -> Config:
    return config.model_copy(update={"store": config.store.model_copy(update={"mode": mode})})


def _index(address: str, kind: str, lake: Lake) -> Path | None:
    """Folder of the index at an address of ours, fetched where it lies in a bucket."""
    scheme, _, rest = address.partition(":")
    if scheme != INDEXES[kind]:
        return None
    world = Bundled(lambda index: atlas_world(lake.indexes) / index)
    return index_of(Opening(address, sections=(world,), rest=rest), INDEXES[kind])


def _glances(config: Config, lake: Lake, run: str, store: AnyStore) -> Iterator[Dated]:
    """What searches with the whole pictures of a run's seeds find, of those that were not asked."""
    gallery = open_at(IMAGE_SEARCHES, config.image_search, _in_mode(config, "record"), images=lake.images, lake=lake)
    top_k, wanted = config.episode.top_k, list[tuple[str, str]]()
    for sha256 in dict.fromkeys(name for seed in lake.read_table(run, "seeds", Seed) for name in seed.image_hashes):
        request = search_request("image_search", gallery.id, sha256, top_k)
        if store.get(request_key(request)) is None:
            wanted.append((sha256, request))
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        found = run_on_loop(_searched(gallery, [sha256 for sha256, _ in some], top_k))
        for (_, request), hits in zip(some, found, strict=True):
            if hits is not None:
                kept = Kept(HITS.dump_json(hits).decode())
                yield Dated(Entry(request_key(request), "image_search", gallery.id, "train", request, kept), 0.0)


async def _searched(gallery: ImageSearch, pictures: Sequence[str], top_k: int) -> list[tuple[Hit, ...] | None]:
    """Hits of each; None where a picture is not there any more, or cannot be read."""

    async def searched(sha256: str) -> tuple[Hit, ...] | None:
        try:
            return await gallery.search(sha256, top_k)
        except ServiceError as error:
            if error.failure.permanent:
                return None
            raise

    return await asyncio.gather(*map(searched, pictures))
