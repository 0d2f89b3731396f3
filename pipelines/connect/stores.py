"""The store and the budget of a config: which kind, where, and what they are told."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config, ConfigError
from gog.transforms.place import is_remote
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.gate import Limits
from gog.transforms.services.gateway.leases import Leases
from gog.transforms.services.gateway.ledger import Ledger
from gog.transforms.services.gateway.prices import FREE, Price
from gog.transforms.services.gateway.shared_limits import SharedLimits
from gog.transforms.services.providers import embedded, embedded_names, provider_at
from gog.transforms.services.store.postgres.store import PostgresStore, has_store
from gog.transforms.services.store.records import AnyStore, Freshness, Mode
from gog.transforms.services.store.schema import FILE
from gog.transforms.services.store.sqlite import Store

DAY_S: Final = 86_400.0


def store_path(config: Config) -> str:
    """Where the store is: a folder or an address. Raises `ConfigError` where the config names none and none can be."""
    if config.store.path:
        return config.store.path
    if is_remote(config.lake):
        raise ConfigError(
            f"store.path: {config.lake} keeps no answers: name a folder of this machine, or postgresql://..."
        )
    return str(Path(config.lake) / "store")


def make_store(config: Config, mode: Mode | None = None) -> AnyStore:
    """Open the config's store, in its own mode unless given another. Raises `StoreError`."""
    mode, fresh = mode or Mode(config.store.mode), freshness(config)
    if config.store.backend == "postgresql":
        return PostgresStore(config.store.path, mode, fresh=fresh)
    return Store(Path(store_path(config)), mode, fresh=fresh)


def read_store(config: Config) -> AnyStore | None:
    """The store for reading, None where nothing is kept yet; writes nothing. Raises `StoreError`."""
    path, backend = store_path(config), config.store.backend
    there = has_store(path) if backend == "postgresql" else (Path(path) / FILE).exists()
    return make_store(config, Mode.REPLAY) if there else None


def freshness(config: Config) -> Freshness:
    """How long what is kept counts."""
    store = config.store
    lifetimes = {failure: days * DAY_S for failure, days in store.lifetimes.items()}
    return Freshness(lifetimes, frozenset(store.refresh), store.refresh_before)


def prices_of(config: Config) -> dict[str, Price]:
    """The user's own prices, and that embedded services cost nothing."""
    named = ((KINDS[kind], address) for kind, address in named_services(config) if embedded(address))
    free = embedded_names().union(provider_at(providers, address).name for providers, address in named)
    return dict.fromkeys(free, FREE) | config.prices


def make_budget(config: Config, store: AnyStore, providers: Iterable[str]) -> Budget:
    """The run's budget; `providers` are the ids of all services. Raises `PriceError`."""
    ceiling, slices = config.budget, _slices(config)
    return Budget(
        max_cost=ceiling.max_cost,
        max_calls=ceiling.max_calls,
        max_hours=ceiling.max_hours,
        prices=prices_of(config),
        providers=providers,
        spent=store.spend(config.run),
        leases=Leases(Path(store_path(config)), config.run) if slices else None,
        ledger=_ledger(config, store),
        slices=slices or 1,
    )


def _slices(config: Config) -> int | None:
    """In how many slices the ceilings are leased; None where one process has them for itself."""
    ceiling = config.budget
    if (
        config.store.backend == "postgresql"
        or config.store.mode == "replay"
        or (ceiling.max_cost is None and ceiling.max_calls is None)
    ):
        return None
    return ceiling.slices


def _ledger(config: Config, store: AnyStore) -> Ledger | None:
    ceiling = config.budget
    if not isinstance(store, PostgresStore) or store.mode is Mode.REPLAY:
        return None
    if ceiling.max_cost is None and ceiling.max_calls is None:
        return None
    return Ledger(store.database, config.run, store.worker, ceiling.max_calls, ceiling.max_cost)


def shared_limits(store: AnyStore, provider: str, limits: Limits) -> SharedLimits | None:
    """What the limits of a provider allow all workers together; None where they are each process's own."""
    a_minute = (limits.requests_per_minute, limits.tokens_per_minute)
    if not isinstance(store, PostgresStore) or store.mode is Mode.REPLAY or a_minute == (None, None):
        return None
    return SharedLimits(store.database, provider, *a_minute)
