"""What a run takes from other distributions, read off its config."""

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config
from gog.transforms.episode.tools import TOOLS
from gog.transforms.filters.use import FILTERS
from gog.transforms.open_set import taken
from gog.transforms.services.providers import scheme_of


def plugins_of(config: Config) -> dict[str, str]:
    """Distribution and version by kind and name (`tool measure`); none of ours. Raises `UnknownMemberError`."""
    return taken(
        [
            *((TOOLS, name) for name in config.episode.tools),
            *((FILTERS, use.use) for use in config.filters),
            *((KINDS[kind], scheme_of(address)) for kind, address in named_services(config)),
        ]
    )
