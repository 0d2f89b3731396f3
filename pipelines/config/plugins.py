"""What a run takes from other distributions, read off its config."""

from collections.abc import Iterable
from typing import Any

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config
from gog.transforms.episode.tools import TOOLS
from gog.transforms.filters.use import FILTERS
from gog.transforms.open_set import OURS, OpenSet
from gog.transforms.services.providers import scheme_of


def plugins_of(config: Config) -> dict[str, str]:
    """Distribution and version by kind and name (`tool measure`); none of ours. Raises `UnknownMemberError`."""
    named: tuple[tuple[OpenSet[Any], Iterable[str]], ...] = (
        (TOOLS, config.episode.tools),
        (FILTERS, (use.use for use in config.filters)),
        *((KINDS[kind], (scheme_of(address),)) for kind, address in named_services(config)),
    )
    origins = {f"{members.kind} {name}": members.origin(name) for members, names in named for name in names}
    return {name: str(origin) for name, origin in sorted(origins.items()) if origin.distribution != OURS}
