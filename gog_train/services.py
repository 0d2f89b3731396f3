"""The services of a training: searches for the tools, and the judge, by address.

corpus:FOLDER, corpus:atlas, gallery:FOLDER, gallery:atlas      a local index, or the bundled world's
serper: searxng:URL brave: tavily:                              text search of the web
local: jina:                                                    pages of the web, for tools that read them
serper: serpapi:                                                Google Lens, out of a store only (`store_mode: replay`)
rules:                                                          no judge: what matches no accepted form is wrong
http(s)://HOST/v1#MODEL                                         a judge behind an OpenAI-compatible endpoint

Keys come from the environment: SERPER_API_KEY, BRAVE_API_KEY, TAVILY_API_KEY; the judge's settings name its own.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from gog.transforms.atlas.world import atlas_world
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.images import CropSettings, ImageStore
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.http import close_client
from gog.transforms.services.loop import process_loop
from gog.transforms.services.models.chat import ChatModel, ModelSettings
from gog.transforms.services.pages.jina import JinaReader
from gog.transforms.services.pages.reader import LocalReader
from gog.transforms.services.protocols import ImageSearch, PageReader, Policy, ServiceError, TextSearch
from gog.transforms.services.search.brave import BraveSearch
from gog.transforms.services.search.corpus import Corpus
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.services.search.index_folder import IndexFolderError
from gog.transforms.services.search.lens import Lens, Thumbnails
from gog.transforms.services.search.searxng import SearxngSearch
from gog.transforms.services.search.serpapi import SerpApiLens
from gog.transforms.services.search.serper import SerperLens, SerperSearch
from gog.transforms.services.search.settings import SearchSettings
from gog.transforms.services.search.tavily import TavilySearch
from gog.transforms.services.search.upload import HttpUploader, UploadSettings
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.sqlite import Mode, Store
from gog.transforms.synthesize.judge import judge_call
from gog.transforms.verify.judge import JudgeCall, JudgeQuestion, Ruling, closed_world_judge
from gog_train.settings import TrainingError

T = TypeVar("T")
StoreMode = Literal["live", "record", "replay"]

RULES: Final = "rules:"
_KEYS: Final = {"serper": "SERPER_API_KEY", "brave": "BRAVE_API_KEY", "tavily": "TAVILY_API_KEY"}
_NOWHERE: Final = "http://localhost/{name}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are. `calls` is a folder for what the calls took; `store` one of answers that were kept."""

    text_search: str
    image_search: str
    judge: str
    calls: Path
    store: Path | None = None
    store_mode: StoreMode = "live"
    judge_settings: ModelSettings = field(default_factory=ModelSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    judge_timeout_s: float = 60.0
    pages: str = ""


class PassingImages:
    """The images of the rollouts that run, by hash. An `ImageStore`; emptied between batches."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none."""
        return self._data[sha256]

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        return sha256 in self._data

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; returns their sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._data.setdefault(sha256, data)
        return sha256

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._data.clear()


@dataclass(frozen=True, slots=True)
class TrainingServices:
    """The services, opened; `close` them at the end."""

    tools: EpisodeTools
    images: PassingImages
    judge: JudgeCall
    stores: tuple[Store, ...] = ()

    def close(self) -> None:
        """Close connections and stores."""
        with suppress(TimeoutError):
            run(close_client(), 5)
        for store in self.stores:
            store.close()


def open_services(addresses: Addresses, crops: CropSettings, episode: EpisodeSettings) -> TrainingServices:
    """Open them for an export's episodes.

    Raises `TrainingError` on an address that nobody fills, or a store that cannot be opened.
    """
    images = PassingImages()
    replays = addresses.store_mode == "replay"
    try:
        text_search = _text_search(addresses, replays=replays)
        image_search = _image_search(addresses, images, replays=replays)
        pages = _reader(addresses.pages, episode)
        calls = Store(addresses.calls, Mode.LIVE)
        kept = _kept(addresses)
    except (IndexFolderError, StoreError) as error:
        raise TrainingError(str(error)) from error
    store = kept or calls
    cropper = Cropper(store, images, crops)
    tools = EpisodeTools(Gateway(store), text_search, image_search, cropper, episode.top_k, "train", pages)
    judge = open_judge(addresses, calls, images)
    return TrainingServices(tools, images, judge, (calls, kept) if kept else (calls,))


@dataclass(frozen=True, slots=True)
class _Judge:
    gateway: Gateway
    judge: Policy


def open_judge(addresses: Addresses, calls: Store, images: ImageStore) -> JudgeCall:
    """The judge at its address. Raises `TrainingError`."""
    if addresses.judge == RULES:
        return closed_world_judge
    door = Gateway(calls, retry=Retry(attempts=4), timeout_s=addresses.judge_timeout_s)
    return judge_call(_Judge(door, _judge_model(addresses, images)), "reward")


def run(work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
    """Run it on the services' loop and wait for it; for threads that have no loop."""
    return asyncio.run_coroutine_threadsafe(work, process_loop()).result(timeout_s)


def check_judge(judge: JudgeCall) -> None:
    """Ask a judge one easy question. Raises `TrainingError` when it does not say yes."""
    question = JudgeQuestion("answer", "What is the capital of France?", ("Paris",), "Paris")
    try:
        ruling = run(_ruling(judge, question))
    except ServiceError as error:
        raise TrainingError(f"the judge does not answer ({error}): start it, or set `judge` to another") from error
    if ruling is not Ruling.YES:
        raise TrainingError(f"the judge says {ruling} of a right answer: is it a chat model that follows instructions?")


async def _ruling(judge: JudgeCall, question: JudgeQuestion) -> Ruling:
    return (await judge(question)).ruling


def _kept(addresses: Addresses) -> Store | None:
    if addresses.store_mode == "live":
        return None
    if addresses.store is None:
        raise TrainingError(f"store_mode {addresses.store_mode} needs a store: the folder `store` of a lake")
    return Store(addresses.store, Mode(addresses.store_mode))


def _text_search(addresses: Addresses, *, replays: bool) -> TextSearch:
    address, home, locale = addresses.text_search, addresses.calls, addresses.search.locale
    scheme, _, rest = address.partition(":")
    match scheme:
        case "corpus":
            return Corpus.open(atlas_world(home / "indexes").corpus if rest == "atlas" else Path(rest) / "corpus")
        case "searxng" if rest:
            try:
                return SearxngSearch(rest, locale.language)
            except ValueError as error:
                raise TrainingError(f"text_search: {error}") from error
        case "serper" if not rest:
            return SerperSearch(_key(scheme, replays=replays), locale)
        case "brave" if not rest:
            return BraveSearch(_key(scheme, replays=replays), locale)
        case "tavily" if not rest:
            return TavilySearch(_key(scheme, replays=replays))
    raise TrainingError(
        f"text_search: {address!r} is none of corpus:FOLDER, corpus:atlas, searxng:URL, serper:, brave:, tavily:"
    )


def _image_search(addresses: Addresses, images: PassingImages, *, replays: bool) -> ImageSearch:
    address, home, search = addresses.image_search, addresses.calls, addresses.search
    scheme, _, rest = address.partition(":")
    if scheme == "gallery":
        return Gallery.open(
            atlas_world(home / "indexes").gallery if rest == "atlas" else Path(rest) / "gallery", images
        )
    lenses: dict[str, type[Lens]] = {"serper": SerperLens, "serpapi": SerpApiLens}
    lens = lenses.get(scheme)
    if lens is None or rest:
        raise TrainingError(f"image_search: {address!r} is none of gallery:FOLDER, gallery:atlas, serper:, serpapi:")
    if not replays:
        raise TrainingError(f"image_search: {address} lends pictures to the web: set `store_mode: replay`, or gallery:")
    uploader = HttpUploader(UploadSettings(put=_NOWHERE, url=_NOWHERE))
    return lens("", search.locale, images, uploader, Thumbnails(search.thumbnails))


def _reader(address: str, episode: EpisodeSettings) -> PageReader | None:
    match address:
        case "local:":
            try:
                return LocalReader()
            except ImportError:
                raise TrainingError(f"pages: {address}: pip install 'glance-or-gaze[web]' to read pages here") from None
        case "jina:":
            return JinaReader(os.environ.get("JINA_API_KEY", ""))
        case "" if not any(tool.asks == "page" for tool in episode.offered):
            return None
    raise TrainingError(f"pages: {address!r} is none of local:, jina:, and a tool of the episode reads pages")


def _judge_model(addresses: Addresses, images: ImageStore) -> ChatModel:
    url, _, model = addresses.judge.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model or parts.username:
        raise TrainingError("judge: it is `rules:`, or an address such as http://127.0.0.1:8000/v1#MODEL without a key")
    return ChatModel(url, model, images, addresses.judge_settings, _judge_key(addresses.judge_settings))


def _judge_key(settings: ModelSettings) -> str:
    if not settings.key_env:
        return ""
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise TrainingError(f"judge_settings.key_env: the environment variable {settings.key_env} is not set")
    return key


def _key(scheme: str, *, replays: bool) -> str:
    key = os.environ.get(_KEYS[scheme], "").strip()
    if not key and not replays:
        raise TrainingError(f"text_search: {scheme}: needs a key in the environment variable {_KEYS[scheme]}")
    return key
