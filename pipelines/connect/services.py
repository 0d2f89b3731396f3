"""The services of a process: all that a config names, with the store, the budget and the gates before them."""

import atexit
import os
from collections.abc import Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path

from gog.pipelines.config.addresses import named_services
from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import (
    check_addresses,
    check_packages,
    in_order,
    open_at,
    open_reader,
    price_name,
    server_of,
    with_pages,
    with_words,
)
from gog.pipelines.connect.stores import make_budget, make_store, prices_of, shared_limits, store_path
from gog.pipelines.lake.lake import Lake
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.tools import servers_among
from gog.transforms.image_store import ImageStore
from gog.transforms.place import is_remote, local_folder
from gog.transforms.services.connections import close_connections
from gog.transforms.services.gateway.breaker import Breaker
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.prices import find_price
from gog.transforms.services.loop import peek, shared, unshare
from gog.transforms.services.mcp.address import parse_address
from gog.transforms.services.models.provider import Server
from gog.transforms.services.protocols import Detector, ImageSearch, PageReader, Policy, TextSearch
from gog.transforms.services.providers import DETECTORS, IMAGE_SEARCHES, MODELS, TEXT_SEARCHES, host_or_scheme
from gog.transforms.services.public_web import Contact
from gog.transforms.services.search.fetched_images import FetchedImages, public_fetch
from gog.transforms.services.store.records import AnyStore
from gog.transforms.services.store.schema import StoreError
from gog.transforms.synthesize.services import Services

_stores: list[Hashable] = []
"""Keys of the stores that this process has opened."""
_budgets: list[tuple[int, Budget]] = []
"""Budgets, with the process that opened them."""


def services_for(config_json: str) -> Services:
    """The process's services for a config; opened on the first call, shared afterwards."""
    return shared(("services", config_json), lambda: open_services(Config.model_validate_json(config_json)))


def begin(config: Config) -> None:
    """Tell the process's services, where it has opened some, that another run begins."""
    services: Services | None = peek(("services", config.model_dump_json()))
    if services is not None:
        services.begin()


def images_for(root: str) -> ImageStore:
    """The lake's image store, for stages that need nothing else."""
    return shared(("images", root), lambda: Lake(root).images)


def fetched_images(config: Config) -> FetchedImages:
    """Images at addresses, kept in the lake whatever the run."""
    return FetchedImages(
        local_folder(config.lake) / "fetched",
        config.ingest.image,
        retry=config.retry,
        replay=config.store.mode == "replay",
        make_fetch=partial(public_fetch, contact=Contact(config.contact)),
    )


def open_services(config: Config) -> Services:
    """Open every service of the config. Raises `ConfigError` on an address that nobody fills."""
    lake = Lake(config.lake)
    images = lake.images
    store = open_store(config)
    models = dict.fromkeys((config.teacher, *config.judges, config.labeller))
    policies = {address: open_at(MODELS, address, config, images=images) for address in models}
    detector = open_at(DETECTORS, config.detector, config, images=images) if config.detector else None
    searched = open_at(TEXT_SEARCHES, config.text_search, config, lake=lake)
    ordered = in_order(searched, policies[config.judge], config)
    pages = open_reader(config.pages, config) if config.pages else None
    text_search = with_pages(ordered, pages, policies[config.judge], config)
    image_search = with_words(open_at(IMAGE_SEARCHES, config.image_search, config, images=images, lake=lake), config)
    named: list[tuple[str, Policy | Detector | TextSearch | PageReader | ImageSearch | None]] = [
        *policies.items(),
        (config.detector, detector),
        (config.text_search, searched),
        (config.text_search, ordered),
        (config.pages, pages),
        (config.image_search, image_search),
    ]
    gates: dict[str, Gate] = {}
    by_provider: dict[str, Gate] = {}
    for address, service in named:
        if service is not None:
            server = server_of(address, config) if address in policies else None
            provider = host_or_scheme(address)
            gates[service.id] = by_provider.get(provider) or _gate(config, store, provider, server)
            by_provider[provider] = gates[service.id]
    budget = make_budget(config, store, gates)
    _budgets.append((os.getpid(), budget))
    breaker = Breaker(one.provider for one in store.tally(config.run) if one.events - one.from_store > one.failed)
    gateway = Gateway(
        store, budget=budget, breaker=breaker, gates=gates, retry=config.retry, run=config.run, seed=config.seed
    )
    return Services(
        gateway=gateway,
        images=images,
        cropper=Cropper(store, images, config.crops),
        teacher=policies[config.teacher],
        judge=policies[config.judge],
        detector=detector,
        text_search=text_search,
        image_search=image_search,
        labeller=policies[config.labeller],
        pages=pages,
        panel=tuple(policies[address] for address in config.panel),
    )


def open_store(config: Config) -> AnyStore:
    """The config's store, shared by the process."""
    path = store_path(config)
    place = path if is_remote(path) else str(Path(path).resolve())
    key = ("store", place, config.store.model_dump_json())

    def make() -> AnyStore:
        if not _stores:
            # Where the process is not `gog`'s own, but one that a runner started and ends.
            atexit.register(close_stores)
        _stores.append(key)
        return make_store(config)

    return shared(key, make)


def close_stores() -> None:
    """Give back what is leased, write what waits, close the process's stores and connections: for its end."""
    close_connections()
    while _budgets:
        process, budget = _budgets.pop()
        if process == os.getpid():
            budget.give_back()
    while _stores:
        store = unshare(_stores.pop())
        if store is not None:
            with suppress(StoreError):  # a store that cannot be written has said so before
                store.close()


def check_ready(config: Config) -> None:
    """Raise `ConfigError` where a run would stop only later: no package, no executable, no price under a ceiling."""
    check_addresses(config)
    check_packages(config)
    if config.budget.max_cost is None:
        return
    known = prices_of(config)
    names = [price_name(address, kind, config) for kind, address in named_services(config)]
    names += [f"mcp:{parse_address(name).place}" for name in servers_among(config.episode.tools)]
    unknown = dict.fromkeys(name for name in names if find_price(name, known) is None)
    if unknown:
        raise ConfigError(f"max_cost is set, but no price is known for {', '.join(unknown)}: add it to prices")


def _gate(config: Config, store: AnyStore, provider: str, server: Server | None) -> Gate:
    in_flight = (server.in_flight if server else None) or max(64, config.window)
    limits = config.limits.get(provider) or Limits(in_flight=in_flight)
    return Gate(limits, shared=shared_limits(store, provider, limits))
