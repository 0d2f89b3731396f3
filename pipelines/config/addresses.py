"""What a config names: the addresses of its services, with who fills them, and what other distributions bring."""

from typing import Any, Final

from gog.pipelines.config.config import Config
from gog.transforms.episode.tools import TOOLS, own_names
from gog.transforms.filters.use import FILTERS
from gog.transforms.open_set import OpenSet, taken
from gog.transforms.services.provider import Provider
from gog.transforms.services.providers import DETECTORS, IMAGE_SEARCHES, MODELS, READERS, TEXT_SEARCHES, scheme_of

KINDS: Final[dict[str, OpenSet[Provider[Any]]]] = {
    "chat": MODELS,
    "detect": DETECTORS,
    "text_search": TEXT_SEARCHES,
    "image_search": IMAGE_SEARCHES,
    "page": READERS,
}
"""Who fills which kind of question."""


def named_services(config: Config) -> list[tuple[str, str]]:
    """The kinds and addresses that a config names, each once."""
    named = [("chat", address) for address in (config.teacher, *config.judges, config.labeller)]
    named += [("detect", config.detector)] if config.detector else []
    named += [("text_search", config.text_search), ("image_search", config.image_search)]
    named += [("page", config.pages)] if config.pages else []
    return list(dict.fromkeys(named))


def plugins_of(config: Config) -> dict[str, str]:
    """Distribution and version by kind and name (`tool measure`); none of ours. Raises `UnknownMemberError`."""
    return taken(
        [
            *((TOOLS, name) for name in own_names(config.episode.tools)),
            *((FILTERS, use.use) for use in config.filters),
            *((KINDS[kind], scheme_of(address)) for kind, address in named_services(config)),
        ]
    )
