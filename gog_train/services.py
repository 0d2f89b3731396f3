"""The services of a training, by address (`gog.transforms.services.providers`): searches for the tools, and the judge.

`rules:` is no judge: what no rule settles stays open. Searches that lend pictures to the web, as `serper:` and
`serpapi:`, answer out of a store (`store_mode: replay`), or need an `uploader` and a store that keeps what they say
(`store_mode: record`): a picture that is asked for again is not lent again.
"""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeVar

from gog.transforms.atlas.world import atlas_world
from gog.transforms.episode.crops import Cropper
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.episode.tool import EpisodeTools
from gog.transforms.episode.tools.image_search import unanswered
from gog.transforms.image_store import ImageStore
from gog.transforms.images import CropSettings
from gog.transforms.open_set import OpenSet
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.connections import close_connections
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.provider import NamedModels
from gog.transforms.services.protocols import PageReader, Policy, ServiceError, TextSearch
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.providers import IMAGE_SEARCHES, MODELS, READERS, TEXT_SEARCHES, embedded, open_service
from gog.transforms.services.search.index_place import Bundled
from gog.transforms.services.search.reranking import reranked
from gog.transforms.services.search.sealed_world import SealedTools, SealedWorld
from gog.transforms.services.search.settings import JUDGE, SearchSettings
from gog.transforms.services.search.upload import NoUploaderError, UploadSettings
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.schema import StoreError
from gog.transforms.services.store.sqlite import Store
from gog.transforms.synthesize.judge import Judges, judge_call, try_judge
from gog.transforms.verify.judge import JudgeCall
from gog_train.pictures import FoundPictures, KeptPictures
from gog_train.settings import TrainingError

S = TypeVar("S")
StoreMode = Literal["live", "record", "replay"]

RULES: Final = "rules:"
WORLD: Final = "world"
"""Scheme of searches that are answered out of a sealed world."""
JUDGE_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are; several judges are a panel.

    `calls` is a folder for what the calls took; `store` one of answers that were kept.
    """

    text_search: str
    image_search: str
    judges: tuple[str, ...]
    calls: Path
    store: Path | None = None
    store_mode: StoreMode = "live"
    judge_settings: ModelSettings = field(default_factory=ModelSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    uploader: UploadSettings | None = None
    judge_timeout_s: float = JUDGE_TIMEOUT_S
    pages: str = ""


@dataclass(frozen=True, slots=True)
class TrainingServices:
    """The services, opened; `close` them at the end."""

    tools: EpisodeTools
    images: PassingImages
    judge: JudgeCall | None
    """None: the rules alone settle."""
    stores: tuple[Store, ...] = ()

    def close(self) -> None:
        """Close connections and stores."""
        close_connections()
        for store in self.stores:
            store.close()


def open_services(addresses: Addresses, crops: CropSettings, episode: EpisodeSettings) -> TrainingServices:
    """Open them for an export's episodes.

    Raises `TrainingError` on an address that nobody fills, a store that cannot be opened, or an episode that folds.
    """
    if episode.fold:
        raise TrainingError(
            f"episode.fold is {episode.fold}: a rollout in training is one sequence of tokens, which nothing shortens; "
            "export from a run with fold: 0"
        )
    pictures = _pictures(addresses)
    images = pictures or PassingImages()
    found = FoundPictures(pictures) if pictures and addresses.store_mode == "record" else images
    world = Bundled(lambda kind: atlas_world(addresses.calls / "indexes") / kind)
    # An uploader without a store would lend every picture anew.
    lends = (addresses.uploader,) if addresses.uploader and addresses.store_mode == "record" else ()
    of_search = Opening("", found, (addresses.search, world, *lends), addresses.store_mode != "replay")
    text_search = _in_order(
        _opened("text_search", TEXT_SEARCHES, replace(of_search, address=addresses.text_search)), addresses, images
    )
    image_search = _opened("image_search", IMAGE_SEARCHES, replace(of_search, address=addresses.image_search))
    if said := unanswered(episode.offered, image_search):
        raise TrainingError(said)
    pages = _reader(addresses.pages, episode)
    try:
        calls = Store(addresses.calls, Mode.LIVE)
        kept = _kept(addresses)
    except StoreError as error:
        raise TrainingError(str(error)) from error
    store = kept or calls
    cropper = Cropper(store, images, crops, found)
    sealed = _sealed_tools(addresses, images)
    tools = EpisodeTools(Gateway(store), text_search, image_search, cropper, episode.top_k, "train", pages, sealed)
    judge = open_judge(addresses, calls, images)
    return TrainingServices(tools, images, judge, (calls, kept) if kept else (calls,))


def longest_wait_s(turns: int) -> int:
    """Seconds that a rollout's tools, one a turn, and its judge take at most, with all their retries.

    Processes that have no such rollout wait so long for the one that has.
    """
    tools, judge = Retry(), _judge_retry(JUDGE_TIMEOUT_S)
    turn = tools.attempts * (tools.timeout_s + tools.longest_s) + tools.patience_s
    return math.ceil(turns * turn + judge.attempts * (judge.timeout_s + judge.longest_s))


def _judge_retry(timeout_s: float) -> Retry:
    return Retry(attempts=4, timeout_s=timeout_s, patience_s=0)


def open_judge(addresses: Addresses, calls: Store, images: ImageStore) -> JudgeCall | None:
    """The judge at its address, or the panel; None for `rules:`. Raises `TrainingError`."""
    if addresses.judges == (RULES,):
        return None
    door = Gateway(calls, retry=_judge_retry(addresses.judge_timeout_s))
    opened = [_model(address, addresses, images) for address in addresses.judges]
    if len({model.id for model in opened}) < len(opened):
        raise TrainingError(f"panel: {', '.join(model.id for model in opened)}: each has to be another judge")
    return judge_call(Judges(door, opened), "reward")


def check_judge(judge: JudgeCall | None) -> None:
    """Ask a judge, where there is one, about a right and a wrong answer. Raises `TrainingError` on another verdict."""
    if judge is None:
        return
    try:
        wrong = run_on_loop(try_judge(judge))
    except ServiceError as error:
        raise TrainingError(f"the judge does not answer ({error}): start it, or set `judge` to another") from error
    if wrong:
        raise TrainingError(f"the judge: {wrong}; is it a chat model that follows instructions?")


def _pictures(addresses: Addresses) -> KeptPictures | None:
    """The pictures of the lake whose store answers."""
    if addresses.store is None or addresses.store_mode == "live":
        return None
    return KeptPictures(addresses.store.parent / "images")


def _sealed_tools(addresses: Addresses, images: ImageStore) -> SealedTools | None:
    """Who answers for MCP servers where searches are answered out of a sealed world."""
    scheme, _, folder = addresses.text_search.partition(":")
    return SealedTools(SealedWorld(Path(folder)), images) if scheme == WORLD else None


def _kept(addresses: Addresses) -> Store | None:
    if addresses.store_mode == "live":
        return None
    if addresses.store is None:
        raise TrainingError(f"store_mode {addresses.store_mode} needs a store: the folder `store` of a lake")
    return Store(addresses.store, Mode(addresses.store_mode))


def _model(address: str, addresses: Addresses, images: ImageStore) -> Policy:
    models = NamedModels(others=addresses.judge_settings, logs=addresses.calls / "logs")
    return _opened("judge", MODELS, Opening(address, images, (models,)))


def _in_order(search: TextSearch, addresses: Addresses, images: ImageStore) -> TextSearch:
    """The search as the run had it: with its first hits put in order."""
    judge = None
    if addresses.search.rerank == JUDGE:
        if addresses.judges[0] == RULES or embedded(addresses.judges[0]):
            raise TrainingError("search.rerank: the run's judge put hits in order: set `judge` to a model")
        judge = _model(addresses.judges[0], addresses, images)
    try:
        return reranked(search, addresses.search, judge)
    except ProviderError as error:
        raise TrainingError(f"search.rerank: {error}") from error


def _reader(address: str, episode: EpisodeSettings) -> PageReader | None:
    if address:
        return _opened("pages", READERS, Opening(address))
    if any(tool.asks == "page" for tool in episode.offered):
        raise TrainingError("pages: a tool of the episode reads pages: name a reader, such as local: or jina:")
    return None


def _opened(field: str, providers: OpenSet[Provider[S]], opening: Opening) -> S:
    try:
        return open_service(providers, opening)
    except NoUploaderError:
        advice = "set `store_mode: replay`, or `store_mode: record` with an `uploader`, or gallery:"
        raise TrainingError(f"{field}: {opening.address} lends pictures to the web: {advice}") from None
    except ProviderError as error:
        raise TrainingError(f"{field}: {error}") from error
