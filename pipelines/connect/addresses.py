"""From addresses in the config to services, each by its provider (`gog.transforms.services.providers`).

Whatever is wrong with an address is a `ConfigError` here.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.lake.lake import Lake
from gog.transforms.atlas.world import atlas_world
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tools.image_search import unanswered
from gog.transforms.image_store import ImageStore
from gog.transforms.open_set import OpenSet
from gog.transforms.passing_images import PassingImages
from gog.transforms.place import local_folder
from gog.transforms.services.models.provider import NamedModels, Server
from gog.transforms.services.pages.reading import Reading
from gog.transforms.services.protocols import ImageSearch, PageReader, Policy, TextSearch
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.providers import (
    MODELS,
    READERS,
    check_installed,
    checked,
    embedded,
    open_service,
    provider_at,
)
from gog.transforms.services.public_web import Contact
from gog.transforms.services.search.cross_encoder import check_cross_encoder
from gog.transforms.services.search.index_place import Bundled
from gog.transforms.services.search.reranking import reranked
from gog.transforms.services.search.settings import JUDGE

S = TypeVar("S")

LOGS: Final = "logs"
"""Folder of the lake for the output of servers that were started."""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ProviderError as error:
        raise ConfigError(str(error)) from None


@_told()
def open_at(
    providers: OpenSet[Provider[S]],
    address: str,
    config: Config | None = None,
    *,
    images: ImageStore | None = None,
    lake: Lake | None = None,
) -> S:
    """The service at an address of these providers; a detector's weights are loaded. Raises `ConfigError`.

    What it is asked with, and thumbnails of its hits, are in `images`; indexes of the bundled world in `lake`.
    """
    return open_service(providers, _opening(address, config, images, lake))


def open_reader(address: str, config: Config | None = None) -> PageReader:
    """The reader of pages at an address. Raises `ConfigError`."""
    _check_reading(config or Config())
    return open_at(READERS, address, config)


def with_pages(search: TextSearch, reader: PageReader | None, judge: Policy, config: Config) -> TextSearch:
    """The search with the pages of its hits read, where the config asks for it."""
    return Reading(search, reader, config.reading, judge) if reader and config.reading.pages else search


def with_words(search: ImageSearch, config: Config) -> ImageSearch:
    """The image search, which answers words where the config's tools ask with them. Raises `ConfigError`."""
    if said := unanswered(config.episode.offered, search):
        raise ConfigError(said)
    return search


@_told()
def in_order(search: TextSearch, judge: Policy, config: Config) -> TextSearch:
    """The search with its first hits put in order, where the config asks for it. Raises `ConfigError`."""
    check_order(config)
    return reranked(search, config.search, judge)


def check_addresses(config: Config, *, keyed: bool = True) -> None:
    """Raise `ConfigError` on an address that nobody fills, as opening would; opens, calls and writes nothing.

    Keys that are not set are no error unless `keyed`.
    """
    for kind, address in named_services(config):
        with _told():
            checked(KINDS[kind], _opening(address, config, keyed=keyed))
    twice = [judge for judge, seats in Counter(policy_id(at, config) for at in config.judges).items() if seats > 1]
    if twice:
        raise ConfigError(f"panel: {twice[0]} has two seats, and would say the same twice: name another judge")
    check_order(config)
    readers = [tool.name for tool in config.episode.offered if tool.asks == "page"]
    if config.pages:
        _check_reading(config)
    elif readers:
        raise ConfigError(f"episode.tools: {readers[0]} reads pages: name a reader in `pages`, such as 'local:'")
    lookers = [tool.name for tool in config.episode.offered if tool.takes_result]
    if lookers and not config.search.thumbnails and provider_at(KINDS["image_search"], config.image_search).key:
        raise ConfigError(
            f"episode.tools: {lookers[0]} shows pictures of results: set `search.thumbnails` to how many of them "
            f"{config.image_search} is to bring along"
        )


def check_packages(config: Config) -> None:
    """Raise `ConfigError` where a package or an executable is missing that a service of the config needs."""
    for kind, address in named_services(config):
        with _told():
            check_installed(provider_at(KINDS[kind], address), address)
        server = server_of(address, config) if kind == "chat" and config.store.mode != "replay" else None
        if server and shutil.which(server.executable) is None:
            raise ConfigError(f"{address}: there is no executable {server.executable!r} here; {server.advice}")


@_told()
def server_of(address: str, config: Config) -> Server | None:
    """What a run starts for the model at an address, if anything. Raises `ConfigError`."""
    provider, opening = checked(MODELS, _opening(address, config, keyed=False))
    return provider.server(opening) if provider.server else None


@_told()
def policy_id(address: str, config: Config | None = None) -> str:
    """Id of the policy at an address, as rows and events have it; needs no key. Raises `ConfigError`."""
    provider, opening = checked(MODELS, _opening(address, config, keyed=False))
    return provider.identify(opening)


def price_name(address: str, kind: str, config: Config) -> str:
    """What the price of a service is looked up by, before it is opened. Raises `ConfigError`."""
    if kind == "chat":
        return policy_id(address, config)
    with _told():
        provider = provider_at(KINDS[kind], address)
    return provider.price or provider.name


def episode_of(address: str, config: Config) -> EpisodeSettings:
    """The episode as the policy at an address meets it: boxes in the frame of its family, where that is known.

    A policy that was trained writes boxes as it was taught, whatever frame the run's teacher had.
    """
    with _told():
        provider, opening = checked(MODELS, _opening(address, config, keyed=False))
        settings = provider.settings(opening)
    if settings.backbone is None:
        return config.episode
    backbone = replace(settings.backbone, min_pixels=settings.least_pixels, max_pixels=settings.most_pixels)
    return config.episode.in_frame(backbone.spec)


def _opening(
    address: str,
    config: Config | None,
    images: ImageStore | None = None,
    lake: Lake | None = None,
    *,
    keyed: bool = True,
) -> Opening:
    config = config or Config()
    sections = (config.search, config.detect, config.reading, config.vllm, config.checkpoint, config.uploader)
    contact = Contact(config.contact)
    models = NamedModels(config.models, logs=local_folder(config.lake) / LOGS)
    worlds = [Bundled(lambda kind: atlas_world(lake.indexes) / kind)] if lake else []
    calls = keyed and config.store.mode != "replay"
    return Opening(address, images or PassingImages(), (*sections, models, contact, *worlds), calls)


@_told()
def check_order(config: Config) -> None:
    """Raise `ConfigError` where what orders the hits of a text search cannot."""
    if config.search.rerank == JUDGE and embedded(config.judge):
        raise ConfigError("search.rerank: the planner cannot order hits; set judge to a model, or name a cross-encoder")
    if config.search.rerank not in ("", JUDGE):
        check_cross_encoder(config.search.rerank)


def _check_reading(config: Config) -> None:
    if config.reading.summary and embedded(config.judge):
        raise ConfigError("reading.summary: the planner cannot summarise; set judge to a model, or summary to false")
