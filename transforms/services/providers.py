"""The providers: sets that users extend (`gog.transforms.open_set`), and how an address finds its own.

An address is `SCHEME:REST` or a URL; `my_pkg.my_mod.PROVIDER:REST` names a provider that nobody has declared.
"""

import os
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from gog.transforms.extras import install
from gog.transforms.open_set import OpenSet, UnknownMemberError
from gog.transforms.services.encoders.encoder import Encoder
from gog.transforms.services.models.provider import ModelProvider
from gog.transforms.services.protocols import Detector, ImageSearch, PageReader, TextSearch
from gog.transforms.services.provider import BUNDLED, Opening, Provider, ProviderError

S = TypeVar("S")
P = TypeVar("P", bound=Provider[Any])

_SERVICES: Final = "gog.transforms.services"
MODELS: Final = OpenSet[ModelProvider](
    "model",
    "gog.models",
    f"{_SERVICES}.models",
    "MODEL",
    {"planner": "gog.transforms.atlas.planner.provider:MODEL"},  # the bundled world stands on the services
)
DETECTORS: Final = OpenSet[Provider[Detector]]("detector", "gog.detectors", f"{_SERVICES}.detectors", "DETECTOR")
TEXT_SEARCHES: Final = OpenSet[Provider[TextSearch]](
    "text search", "gog.text_search", f"{_SERVICES}.search", "TEXT_SEARCH"
)
IMAGE_SEARCHES: Final = OpenSet[Provider[ImageSearch]](
    "image search", "gog.image_search", f"{_SERVICES}.search", "IMAGE_SEARCH"
)
READERS: Final = OpenSet[Provider[PageReader]]("reader of pages", "gog.pages", f"{_SERVICES}.pages", "READER")
ENCODERS: Final = OpenSet[Provider[Encoder]]("encoder", "gog.encoders", f"{_SERVICES}.encoders", "ENCODER")
PROVIDERS: Final[tuple[OpenSet[Provider[object]], ...]] = (
    MODELS,
    DETECTORS,
    TEXT_SEARCHES,
    IMAGE_SEARCHES,
    READERS,
    ENCODERS,
)


def scheme_of(address: str) -> str:
    """The name of an address's provider, or of an id's."""
    scheme = address.partition(":")[0]
    return "http" if scheme == "https" else scheme


def host_or_scheme(address: str) -> str:
    """Whose limits hold for an address: `HOST:PORT` of a URL, the scheme of any other."""
    if address.startswith(("http://", "https://")):
        return urlsplit(address).netloc.rpartition("@")[2]
    return address.partition(":")[0]


def provider_at(providers: OpenSet[P], address: str) -> P:
    """The provider of an address. Raises `ProviderError`."""
    if scheme_of(address) not in providers:
        raise _nobody(providers, address)
    try:
        return providers[scheme_of(address)]
    except UnknownMemberError as error:
        raise ProviderError(f"{address!r}: {error}") from error


def checked(providers: OpenSet[P], opening: Opening) -> tuple[P, Opening]:
    """The provider, and all that it is told; opens and calls nothing.

    Raises `ProviderError` on an address that nobody fills, and where a key is missing that is needed.
    """
    address = opening.address
    provider = provider_at(providers, address)
    rest = address if scheme_of(address) == "http" else address.partition(":")[2].strip()
    key = os.environ.get(provider.key, "").strip() if provider.key else ""
    opening = replace(opening, rest=rest, key=key)
    if not provider.fits(opening):
        raise _nobody(providers, address)
    if provider.key and provider.key_needed and not key and opening.calls:
        raise ProviderError(f"{address!r} needs a key: set the environment variable {provider.key}")
    return provider, opening


def open_service(providers: OpenSet[Provider[S]], opening: Opening) -> S:
    """The service at an address. Raises `ProviderError`."""
    provider, opening = checked(providers, opening)
    check_installed(provider, opening.address)
    return provider.open(opening)


def check_installed(provider: Provider[object], address: str) -> None:
    """Raise `ProviderError` where a package that it needs is not there; loads nothing."""
    for package in provider.packages:
        if find_spec(package) is None:
            extra = f": {install(provider.extra)}" if provider.extra else ""
            raise ProviderError(f"{address}: {package} is not installed{extra}")


def embedded(name: str) -> bool:
    """Whether an address, or an id, is that of an embedded service."""
    scheme = scheme_of(name) if ":" in name else ""
    return any(scheme in providers and providers[scheme].embedded for providers in PROVIDERS)


def path_in(address: str) -> Literal["name", "path", "either"]:
    """Whether what stands behind an address's scheme is a path; what nobody fills, or cannot be loaded, has none."""
    scheme, _, rest = address.partition(":")
    for providers in PROVIDERS if rest.strip() != BUNDLED else ():
        with suppress(UnknownMemberError):
            if scheme in providers:
                return providers[scheme].rest
    return "name"


def embedded_names() -> frozenset[str]:
    """Names of our embedded providers."""
    return frozenset(
        name
        for providers in PROVIDERS
        for name in providers
        if name not in providers.installed and providers[name].embedded
    )


def _nobody(providers: OpenSet[Provider[object]], address: str) -> ProviderError:
    names = [name for name in providers if name not in providers.installed]
    examples = [providers[name].example for name in names] + [f"{name}:" for name in providers.installed]
    one, many = ("an" if providers.kind[0] in "aeiou" else "a"), ", ".join(map(repr, examples))
    return ProviderError(f"{address!r} is no address of {one} {providers.kind}; for example {many}")
