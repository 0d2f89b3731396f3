"""From addresses to searches and readers of pages.

corpus:FOLDER, corpus:atlas     text search over a local index, or over the bundled world's
gallery:FOLDER, gallery:atlas   image search likewise
serper: searxng:URL brave: tavily:      text search of the web
serper: serpapi:                        Google Lens; the picture is lent to it by the uploader
local: jina:                            pages of the hits, read here or by Jina

Keys come from the environment: SERPER_API_KEY, SERPAPI_API_KEY, BRAVE_API_KEY, TAVILY_API_KEY, JINA_API_KEY.
"""

import os
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.lake.image_files import ImageFiles
from gog.pipelines.lake.lake import Lake
from gog.transforms.atlas.world import atlas_world
from gog.transforms.images import ImageStore
from gog.transforms.services.pages.jina import JinaReader
from gog.transforms.services.pages.reader import LocalReader
from gog.transforms.services.pages.reading import Reading
from gog.transforms.services.protocols import ImageSearch, PageReader, Policy, TextSearch
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.services.search.lens import Lens, Thumbnails
from gog.transforms.services.search.searxng import SearxngSearch
from gog.transforms.services.search.serpapi import SerpApiLens
from gog.transforms.services.search.serper import SerperLens, SerperSearch
from gog.transforms.services.search.tavily import TavilySearch
from gog.transforms.services.search.upload import HttpUploader, Uploader, UploadSettings

KEYS: Final = {
    "serper": "SERPER_API_KEY",
    "serpapi": "SERPAPI_API_KEY",
    "brave": "BRAVE_API_KEY",
    "tavily": "TAVILY_API_KEY",
    "jina": "JINA_API_KEY",
}
"""The environment variable of each provider's key."""
_LENSES: Final[dict[str, type[Lens]]] = {"serper": SerperLens, "serpapi": SerpApiLens}
_TEXT: Final = ("'corpus:atlas'", "'serper:'", "'searxng:https://HOST'", "'brave:'", "'tavily:'")
_IMAGE: Final = ("'gallery:atlas'", "'serper:'", "'serpapi:'")
_PAGES: Final = ("'local:'", "'jina:'", "nothing")


def open_text_search(address: str, lake: Lake, config: Config | None = None) -> TextSearch:
    """The text search at an address, with its settings in the config. Raises `ConfigError`."""
    config = config or Config()
    scheme, _, rest = address.partition(":")
    if scheme == "corpus":
        return Corpus.open(atlas_world(lake.indexes).corpus if rest == "atlas" else _index(address, rest, "corpus"))
    return _web_search(address, config)


def open_image_search(address: str, lake: Lake, images: ImageStore, config: Config | None = None) -> ImageSearch:
    """The image search at an address; what it is asked with, and thumbnails of its hits, are in `images`.

    Raises `ConfigError`.
    """
    config = config or Config()
    scheme, _, rest = address.partition(":")
    if scheme == "gallery":
        folder = atlas_world(lake.indexes).gallery if rest == "atlas" else _index(address, rest, "gallery")
        return Gallery.open(folder, images)
    return _lens(address, images, config)


def with_pages(search: TextSearch, reader: PageReader | None, judge: Policy, config: Config) -> TextSearch:
    """The search with the pages of its hits read, where the config asks for it."""
    return Reading(search, reader, config.reading, judge) if reader and config.reading.pages else search


def open_reader(address: str, config: Config | None = None) -> PageReader | None:
    """The reader of pages at an address; none where it is empty. Raises `ConfigError`."""
    config = config or Config()
    scheme, _, rest = address.partition(":")
    if not address:
        return None
    if config.reading.summary and config.judge.startswith("planner:"):
        raise ConfigError("reading.summary: the planner cannot summarise; set judge to a model, or summary to false")
    if scheme == "local" and not rest:
        try:
            return LocalReader(robots=config.reading.robots)
        except ImportError:
            raise ConfigError(f"{address}: pip install 'glance-or-gaze[web]' to read pages here") from None
    if scheme == "jina" and not rest:
        return JinaReader(os.environ.get(KEYS["jina"], ""))  # it serves a few pages a minute without one
    raise _nobody(address, "a reader of pages", _PAGES)


def check_searches(config: Config, *, keyed: bool = True) -> None:
    """Raise `ConfigError` on an address of a search that nobody fills, as opening would; calls and writes nothing.

    Keys that are not set are no error unless `keyed`.
    """
    scheme, _, rest = config.text_search.partition(":")
    if scheme != "corpus":
        _web_search(config.text_search, config, keyed=keyed)
    elif rest != "atlas":
        _index(config.text_search, rest, "corpus")
    scheme, _, rest = config.image_search.partition(":")
    if scheme != "gallery":
        _lens(config.image_search, ImageFiles(Path(os.devnull)), config, keyed=keyed)
    elif rest != "atlas":
        _index(config.image_search, rest, "gallery")
    open_reader(config.pages, config)
    readers = [tool.name for tool in config.episode.offered if tool.asks == "page"]
    if readers and not config.pages:
        raise ConfigError(f"episode.tools: {readers[0]} reads pages: name a reader in `pages`, such as 'local:'")


def _web_search(address: str, config: Config, *, keyed: bool = True) -> TextSearch:
    scheme, _, rest = address.partition(":")
    locale, keyed = config.search.locale, keyed and not _replays(config)
    if scheme == "searxng" and rest:
        try:
            return SearxngSearch(rest, config.search.language)
        except ValueError:
            raise ConfigError(
                "searxng: needs the address of an instance, without a user name or key in it; "
                "for example 'searxng:https://HOST'"
            ) from None
    match scheme:
        case "serper" if not rest:
            return SerperSearch(_key(address, scheme, keyed), locale)
        case "brave" if not rest:
            return BraveSearch(_key(address, scheme, keyed), locale)
        case "tavily" if not rest:
            return TavilySearch(_key(address, scheme, keyed))
        case _:
            raise _nobody(address, "a text search", _TEXT)


def _lens(address: str, images: ImageStore, config: Config, *, keyed: bool = True) -> ImageSearch:
    scheme, _, rest = address.partition(":")
    if scheme not in _LENSES or rest:
        raise _nobody(address, "an image search", _IMAGE)
    keyed = keyed and not _replays(config)
    key, uploader = _key(address, scheme, keyed), _uploader(address, config, keyed)
    return _LENSES[scheme](key, config.search.locale, images, uploader, Thumbnails(config.search.thumbnails))


def _uploader(address: str, config: Config, keyed: bool) -> Uploader:
    settings = config.uploader
    if settings is None:
        if _replays(config):
            return HttpUploader(UploadSettings(put="http://localhost/{name}", url="http://localhost/{name}"))
        raise ConfigError(
            f"image_search {address!r} takes pictures by address only, and sends none unless you say where to put "
            "them: set uploader.put and uploader.url, or use gallery:FOLDER"
        )
    key = os.environ.get(settings.key_env, "") if settings.key_env else ""
    if settings.key_env and not key and keyed:
        raise ConfigError(f"uploader: set the environment variable {settings.key_env}, which key_env names")
    return HttpUploader(settings, key)


def _key(address: str, scheme: str, keyed: bool) -> str:
    key = os.environ.get(KEYS[scheme], "").strip()
    if not key and keyed:
        raise ConfigError(f"{address!r} needs a key: set the environment variable {KEYS[scheme]}")
    return key


def _replays(config: Config) -> bool:
    """Whether nothing is called, so that no key is needed."""
    return config.store.mode == "replay"


def _index(address: str, name: str, part: str) -> Path:
    folder = Path(name) / part
    if not folder.is_dir():
        raise ConfigError(
            f"{address}: there is no index in {name!r}; `gog index build --out {name or 'index'}` makes one"
        )
    return folder


def _nobody(address: str, what: str, examples: tuple[str, ...]) -> ConfigError:
    return ConfigError(f"{address!r} is no address of {what}; it is one of {', '.join(examples)}")
