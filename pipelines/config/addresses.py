"""The addresses that a config names, and the sets of those who fill them."""

from typing import Any, Final

from gog.pipelines.config.config import Config
from gog.transforms.open_set import OpenSet
from gog.transforms.services.provider import Provider
from gog.transforms.services.providers import DETECTORS, IMAGE_SEARCHES, MODELS, READERS, TEXT_SEARCHES

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
    named = [("chat", address) for address in (config.teacher, config.judge, config.labeller)]
    named += [("detect", config.detector)] if config.detector else []
    named += [("text_search", config.text_search), ("image_search", config.image_search)]
    named += [("page", config.pages)] if config.pages else []
    return list(dict.fromkeys(named))
