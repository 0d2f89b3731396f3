"""From addresses in the config to services: a name or a URL picks the provider.

planner:skill=0.85      the embedded rule-based program; other models: `gog.pipelines.connect.models`
segments:               the embedded detector; others: `gog.pipelines.connect.detectors`
corpus:atlas            text search over the bundled world; gallery:atlas image search likewise; others, and
                        readers of pages: `gog.pipelines.connect.searches`
"""

import asyncio
import atexit
import os
import shutil
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.detectors import check_detector, check_installed, open_detector
from gog.pipelines.connect.models import open_model, provider_of
from gog.pipelines.connect.searches import (
    check_searches,
    open_image_search,
    open_reader,
    open_text_search,
    with_pages,
)
from gog.pipelines.connect.stores import make_budget, make_store, prices_of, store_path
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.lake import Lake
from gog.transforms.episode.crops import Cropper
from gog.transforms.images import ImageStore
from gog.transforms.services.gateway.budget import EMBEDDED, Budget
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.prices import find_price
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.http import close_client
from gog.transforms.services.loop import process_loop, shared, unshare
from gog.transforms.services.protocols import Detector, ImageSearch, PageReader, Policy, TextSearch
from gog.transforms.services.search.fetched_images import FetchedImages
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


def images_for(root: str) -> ImageStore:
    """The lake's image store, for stages that need nothing else."""
    return shared(("images", root), lambda: Lake(Path(root)).images)


def fetched_images(config: Config) -> FetchedImages:
    """Images at addresses, kept in the lake whatever the run."""
    return FetchedImages(
        Path(config.lake) / "fetched",
        config.ingest.image,
        timeout_s=config.retry.timeout_s,
        retry=_retry(config),
        replay=config.store.mode == "replay",
    )


def _retry(config: Config) -> Retry:
    return Retry(config.retry.attempts, config.retry.initial_s, config.retry.longest_s)


def open_services(config: Config) -> Services:
    """Open every service of the config. Raises `ConfigError` on an address that nobody fills."""
    lake = Lake(Path(config.lake))
    images = lake.images
    store = open_store(config)
    policies = {a: open_policy(a, images, config) for a in (config.teacher, config.judge, config.labeller)}
    detector = open_detector(config.detector, images, config.detect) if config.detector else None
    searched = open_text_search(config.text_search, lake, config)
    pages = open_reader(config.pages, config)
    text_search = with_pages(searched, pages, policies[config.judge], config)
    image_search = open_image_search(config.image_search, lake, images, config)
    named: list[tuple[str, Policy | Detector | TextSearch | PageReader | ImageSearch | None]] = [
        *policies.items(),
        (config.detector, detector),
        (config.text_search, searched),
        (config.pages, pages),
        (config.image_search, image_search),
    ]
    gates: dict[str, Gate] = {}
    by_provider: dict[str, Gate] = {}
    for address, service in named:
        if service is not None:
            provider = provider_of(address)
            gates[service.id] = by_provider.setdefault(provider, _gate(config, provider))
    budget = make_budget(config, store, gates)
    _budgets.append((os.getpid(), budget))
    gateway = Gateway(
        store,
        budget=budget,
        gates=gates,
        retry=_retry(config),
        timeout_s=config.retry.timeout_s,
        run=config.run,
        seed=config.seed,
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
    )


def open_store(config: Config) -> AnyStore:
    """The config's store, shared by the process."""
    path = store_path(config)
    place = path if "://" in path else str(Path(path).resolve())
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
    with suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(close_client(), process_loop()).result(5)
    while _budgets:
        process, budget = _budgets.pop()
        if process == os.getpid():
            budget.give_back()
    while _stores:
        store = unshare(_stores.pop())
        if store is not None:
            with suppress(StoreError):  # a store that cannot be written has said so before
                store.close()


def check_addresses(config: Config, *, keyed: bool = True) -> None:
    """Raise `ConfigError` on an address that nobody fills, as opening would; opens, calls and writes nothing.

    Keys that are not set are no error unless `keyed`.
    """
    for address in (config.teacher, config.judge, config.labeller):
        open_model(address, ImageFiles(Path(os.devnull)), config, keyed=keyed)
    if config.detector:
        check_detector(config.detector)
    check_searches(config, keyed=keyed)


def check_ready(config: Config) -> None:
    """Raise `ConfigError` where a run would stop only later: no package, no executable, no price under a ceiling."""
    check_addresses(config)
    check_installed(config.detector)
    executable = config.vllm.executable
    models = {config.teacher: None, config.judge: None, config.labeller: None}
    for address in models:
        if address.startswith("vllm:") and config.store.mode != "replay" and shutil.which(executable) is None:
            advice = "name it in vllm.executable, as in /opt/vllm/bin/vllm"
            raise ConfigError(f"{address}: there is no executable {executable!r} here; {advice}")
    if config.budget.max_cost is None:
        return
    services = [(address, "chat") for address in models]
    services += [(config.detector, "detect"), (config.text_search, "text_search"), (config.pages, "page")]
    services += [(config.image_search, "image_search")]
    known = prices_of(config)
    names = [price_name(address, kind, config) for address, kind in services if address]
    unknown = dict.fromkeys(name for name in names if name and find_price(name, known) is None)
    if unknown:
        raise ConfigError(f"max_cost is set, but no price is known for {', '.join(unknown)}: add it to prices")


def price_name(address: str, kind: str, config: Config) -> str:
    """What the price of a service is looked up by, before it is opened; empty for embedded ones, which are free."""
    scheme = address.partition(":")[0]
    if scheme in EMBEDDED:
        return ""
    if kind == "chat":
        name = policy_id(address, config)
        return "" if name.partition(":")[0] in EMBEDDED else name  # the planner behind its own server
    if kind == "detect" and scheme in ("http", "https"):
        return "detector"
    # An image search is told apart from a text search of the same provider: `serper:lens:us-en`.
    return f"{scheme}:lens" if kind == "image_search" else scheme


def policy_id(address: str, config: Config | None = None) -> str:
    """Id of the policy at an address, as rows and events have it; needs no key. Raises `ConfigError`."""
    return open_model(address, ImageFiles(Path(os.devnull)), config, keyed=False).id


def _gate(config: Config, provider: str) -> Gate:
    limits = config.limits.get(provider)
    if limits is None and provider == "checkpoint":
        return Gate(Limits(in_flight=2 * config.checkpoint.batch))  # what waits at the server waits on the clock
    if limits is None:
        return Gate(Limits(in_flight=max(64, config.window)))
    return Gate(Limits(limits.in_flight, limits.requests_per_minute, limits.tokens_per_minute))


def open_policy(address: str, images: ImageStore, config: Config | None = None) -> Policy:
    """A teacher, policy or judge, with its settings in the config."""
    return open_model(address, images, config)
