"""What works and what does not: versions, lake, store, source, GPU, extras, and each service by one small call."""

import asyncio
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import check_order, open_at, open_reader, server_of, with_words
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.connect.stores import read_store, store_path
from gog.pipelines.lake.lake import Lake, LakeError, is_lake
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.rehearse.understood import advice_on_pictures, told, understood
from gog.schemas import SCHEMA_VERSION, WHOLE, EpisodeImage, ImagePart, Message, TextPart
from gog.transforms.atlas.rows import atlas_row
from gog.transforms.atlas.world import world_version
from gog.transforms.episode.tools import servers_among
from gog.transforms.extras import install
from gog.transforms.images import decode_image
from gog.transforms.object_path import ABSENT, AddressError, ObjectPath
from gog.transforms.open_set import plugins
from gog.transforms.passing_images import PassingImages
from gog.transforms.place import place as lake_place
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.http import close_client
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.mcp.server import close_servers
from gog.transforms.services.protocols import ChatRequest, Sampling, ServiceError
from gog.transforms.services.providers import MODELS, embedded
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.services.search.grid_table import GRID_SAYS
from gog.transforms.services.store.schema import StoreError
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.mapping import MappingError
from gog.transforms.synthesize.form import cut_before_words, form_faults, form_requests
from gog.transforms.synthesize.judge import try_live

State = Literal["ok", "warning", "problem"]

LITTLE_ROOM: Final = 5 * 1 << 30
NO_ROOM: Final = 200 * 1 << 20
"""Bytes free on the lake's disk: below the one a warning, below the other a problem."""
ANSWERED_S: Final = 120.0
"""Seconds within which a service has to answer; a teacher may think at length."""
PACKAGES: Final = ("apache-beam", "pyarrow", "duckdb", "pydantic", "pillow", "numpy")
EXTRAS: Final = {
    "detect": ("ultralytics", "YOLO detectors"),
    "onnx": ("onnxruntime", "detectors in ONNX files"),
    "search": ("tokenizers", "encoders of texts and pictures in ONNX files"),
    "vectors": ("faiss", "local indexes of more than 100,000 vectors"),
    "mcp": ("mcp", "tools of MCP servers, and `gog serve-tools`"),
    "web": ("trafilatura", "reading pages (in pipelines)"),
    "pdf": ("pdftext", "pages that are PDF"),
    "train": ("trl", "training with gog_train"),
    "dev": ("pytest", "tests and checks"),
}
NAME_AN_ENCODER: Final = "name an encoder: gog index build --image-encoder onnx:FILE ... (docs/search.md)"
_NAMES: Final = {"detect": "detector", "text_search": "text search", "image_search": "image search", "page": "pages"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    advice: str = ""
    """What to do, where it is not all well."""


def doctor(config: Config) -> list[Check]:
    """All checks, in the order in which they matter."""
    return [
        _versions(),
        *_lake(config),
        _store(config),
        *_source(config),
        *_services(config),
        *_order(config),
        *_tool_servers(config),
        _gpu(),
        *_extras(),
        *_plugins(),
        _data(),
    ]


def _versions() -> Check:
    versions = [f"gog {version('glance-or-gaze')}", f"Python {platform.python_version()}"]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    return Check("versions", "ok", ", ".join(versions))


def _lake(config: Config) -> Iterator[Check]:
    root = config.lake
    try:
        runs = Lake(root, create=False).runs() if is_lake(root) else None
    except (LakeError, AddressError) as error:
        yield Check("lake", "problem", str(error))
        return
    if runs is not None:
        yield Check("lake", "ok", f"{root}: schema version {SCHEMA_VERSION}, {len(runs)} runs")
    else:
        yield Check("lake", "ok", f"{root}: not there yet, the first run makes it")
    if isinstance(remote := lake_place(root), ObjectPath):
        yield _writable(remote)
        return
    folder = Path(root).resolve()
    place = next(folder for folder in (folder, *folder.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield Check("write access", "problem", f"{place}: {error.strerror}", "change its rights, or use another --lake")
        return
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= LITTLE_ROOM else "warning" if free >= NO_ROOM else "problem"
    advice = "" if state == "ok" else "make room: a thousand seeds with their crops take about 1 GB"
    yield Check("disk", state, f"{free / 1e9:,.1f} GB free, and {place} may be written", advice)


def _writable(root: ObjectPath) -> Check:
    """Whether objects can be written, and only where none is: what a run's lock rests on."""
    probe = root / f".doctor-{os.getpid()}"
    try:
        probe.write(b"", ABSENT)
        with suppress(FileExistsError):
            probe.write(b"", ABSENT)
            return Check("write access", "problem", f"{root}: the store takes no conditional writes", "use another one")
        probe.unlink()
    except OSError as error:
        return Check("write access", "problem", str(error), "check its rights, the keys and the region")
    return Check("write access", "ok", f"{root} may be written")


def _store(config: Config) -> Check:
    mode = config.store.mode
    try:
        store = read_store(config)
        if store is None:
            if mode == "replay":
                advice = "set store.mode to record for the first run"
                return Check("store", "problem", f"mode replay, and there is nothing at {store_path(config)}", advice)
            return Check("store", "ok", f"mode {mode}, empty")
        with closing(store):
            answers, size = store.count(), store.size()
    except (StoreError, ConfigError) as error:
        return Check("store", "problem", str(error))
    except OSError as error:
        return Check("store", "problem", f"{store_path(config)}: {error}", "check the address and its rights")
    summary = f"mode {mode}, {answers:,} answers, {size / 1e6:,.1f} MB"
    if mode == "live":
        return Check("store", "warning", summary, "mode live pays for every question again: record is the usual one")
    return Check("store", "ok", summary)


def _source(config: Config) -> Iterator[Check]:
    """The source, its pictures, and three seeds as they are understood."""
    try:
        found = understood(config, 3)
    except (SourceError, MappingError) as error:
        yield Check("source", "problem", str(error), "see source in the config")
        return
    if not found.opened:
        yield Check("source", "problem", "it has no rows", "see source.path in the config")
        return
    where = getattr(config.source, "path", "") or getattr(config.source, "name", "") or "the bundled world"
    bad = [reject for reject in found.rejects if not reject.reason.startswith("ingest.image_")]
    state: State = "ok" if not bad and not found.lists else "warning" if len(bad) < found.opened else "problem"
    left = f": {len(bad)} of the first {found.opened} rows leave: {bad[0].detail}" if bad else " can be read"
    yield Check("source", state, f"{where}{left}", "; ".join(told(found)))
    images = [reject for reject in found.rejects if reject.reason.startswith("ingest.image_")]
    if images:
        state = "problem" if len(images) == found.opened - len(bad) else "warning"
        why = f"{len(images)} of the first {found.opened} cannot be used: {images[0].detail}"
        yield Check("pictures", state, why, advice_on_pictures(found, config))
    elif found.seeds:
        yield Check("pictures", "ok", f"{found.opened - len(bad)} were opened")
    for number, shown in enumerate(found.seeds, start=1):
        seed = shown.seed
        pictures = " and ".join(map(str, shown.pictures))
        answers = ", ".join(repr(answer) for answer in seed.answers[:5])
        yield Check(f"seed {number}", "ok", f"{seed.question[:200]!r} of {pictures}: {answers} ({seed.answer_type})")


def _services(config: Config) -> Iterator[Check]:
    pictures = PassingImages()  # nothing is left in the lake
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        with suppress(LakeError):
            own = Lake(config.lake, create=False)
            lake = own if (own.indexes / f"atlas-{world_version()}").exists() else lake
        yield _model("teacher", config.teacher, _teach, pictures, config)
        for number, address in enumerate(config.judges, 1):
            yield _model("judge" if number == 1 else f"judge {number}", address, _judge, pictures, config)
        yield _model("labeller", config.labeller, _chat, pictures, config)
        for kind, address in named_services(config):
            if kind != "chat":
                yield _answers(_NAMES[kind], address, partial(_ask, kind, address, config, pictures, lake))


def _order(config: Config) -> Iterator[Check]:
    if not config.search.rerank:
        return
    try:
        check_order(config)
        yield Check("order of hits", "ok", config.search.rerank)
    except ConfigError as error:
        yield Check("order of hits", "problem", str(error), "see search.rerank in the config")


def _tool_servers(config: Config) -> Iterator[Check]:
    if not servers_among(config.episode.tools):
        return
    try:
        pinned = with_pinned(config).episode.pinned
        yield Check("tools", "ok", ", ".join(f"{tool.called} of {tool.version}" for tool in pinned))
    except ConfigError as error:
        yield Check("tools", "problem", str(error), "see episode.tools in the config")
    finally:
        run_on_loop(close_servers())


def _rule_based(check: Check) -> Check:
    """The embedded planner over data of the user's own: it answers, and that is all."""
    if check.state != "ok":
        return check
    why = f"{check.found}, but it is a rule-based program that knows flags alone"
    advice = "good for a rehearsal; for data name a model, as http://HOST:8000/v1#MODEL or vllm:MODEL"
    return Check(check.name, "warning", why, advice)


_Ask = Callable[[str, PassingImages, Config], Awaitable[str]]


def _model(name: str, address: str, ask: _Ask, pictures: PassingImages, config: Config) -> Check:
    """A model that a run starts itself is not: loading it would take minutes."""
    try:
        server = server_of(address, config)
    except ConfigError as error:
        return Check(name, "problem", str(error), "see its address in the config")
    if server is None:
        check = _answers(name, address, partial(ask, address, pictures, config))
        return _rule_based(check) if embedded(address) and config.source.kind != "atlas" else check
    program = shutil.which(server.executable)
    if program is None:
        return Check(name, "problem", f"{address}: there is no executable {server.executable}", server.advice)
    return Check(name, "ok", f"{address}: {program} is there; the run starts it, its log is in LAKE/logs")


def _answers(name: str, address: str, ask: Callable[[], Awaitable[str]]) -> Check:
    address, started = address.rstrip(":"), time.perf_counter()

    async def within() -> str:
        try:
            async with asyncio.timeout(ANSWERED_S):
                return await ask()
        finally:
            await close_client()

    try:
        answer = asyncio.run(within())
    except ConfigError as error:
        return Check(name, "problem", str(error), "see its address in the config")
    except ShortcomingError as error:
        return Check(name, error.state, f"{address}: {error}", error.advice)
    except TimeoutError:
        return Check(
            name, "problem", f"{address}: no answer within {ANSWERED_S:g} s", "is it up, and is its address right?"
        )
    except ServiceError as error:
        return Check(name, "problem", f"{address}: {error}", "is it up, is its address right, is its key set?")
    took = 1000 * (time.perf_counter() - started)
    return Check(name, "ok", f"{address}: {answer} in {took:,.0f} ms")


class ShortcomingError(Exception):
    """A model that answers, and not as it should."""

    def __init__(self, found: str, advice: str, state: State = "problem") -> None:
        super().__init__(found)
        self.advice, self.state = advice, state


async def _judge(address: str, pictures: PassingImages, config: Config) -> str:
    judge = open_at(MODELS, address, config, images=pictures)
    if wrong := await try_live((judge,), Retry(attempts=1)):
        raise ShortcomingError(wrong, "see its chat template, thinking_tokens, or name another")
    return f"{judge.id} tells a right answer from a wrong one"


async def _teach(address: str, pictures: PassingImages, config: Config) -> str:
    """The teacher with turns of an episode as a run asks for them, side by side."""
    policy, made = open_at(MODELS, address, config, images=pictures), config.synthesize
    row = atlas_row(0, 0)
    size = decode_image(row.image).size
    image = EpisodeImage(sha256=_sample(pictures), width=size[0], height=size[1], box=WHOLE)
    asked = form_requests(config.episode, row.question, [image], made.rollout.sampling, composed=made.composed > 0)
    replies = dict(zip(asked, await asyncio.gather(*map(policy.complete, asked.values())), strict=True))
    if faults := form_faults(replies):
        found, advice = (" and ".join(fault.found for fault in faults), "; ".join(fault.advice for fault in faults))
        raise ShortcomingError(found, advice, "problem" if any(fault.fatal for fault in faults) else "warning")
    written = sum(reply.completion_tokens for reply in replies.values())
    return f"{policy.id} keeps to the form in {len(replies)} turns of {written:,} tokens"


async def _chat(address: str, pictures: PassingImages, config: Config) -> str:
    policy = open_at(MODELS, address, config, images=pictures)
    content = (ImagePart(image=_sample(pictures)), TextPart(text="What is in this picture? Answer in one word."))
    reply = await policy.complete(
        ChatRequest((Message(role="user", content=content),), sampling=Sampling(max_tokens=512))
    )
    if fault := cut_before_words(reply):
        raise ShortcomingError(fault.found, fault.advice)
    return f"{policy.id} wrote {reply.completion_tokens} tokens"


def _sample(pictures: PassingImages) -> str:
    return pictures.put(atlas_row(0, 0).image, "jpg")


async def _ask(kind: str, address: str, config: Config, pictures: PassingImages, lake: Lake) -> str:
    if kind == "page":
        page = await (reader := open_reader(address, config)).read("https://example.com/")
        return f"{reader.id} read {len(page.text):,} characters of {page.url}"
    service = open_at(KINDS[kind], address, config, images=pictures, lake=lake)
    match kind:
        case "detect":
            regions = await service.detect(_sample(pictures), ("flag",))
            return f"{service.id} found {len(regions)} regions"
        case "text_search":
            return f"{service.id} found {len(await service.search('flag', 3))} pages"
        case _:
            hits = await with_words(service, config).search(_sample(pictures), 3)
            found = f"{service.id} found {len(hits)} pictures"
            if isinstance(service, Gallery) and service.by_grid and address != "gallery:atlas":
                raise ShortcomingError(f"{found}, but {GRID_SAYS}", NAME_AN_ENCODER, "warning")
            return found


def _gpu() -> Check:
    needed = "not needed for data; gog_train and a model served on this machine need one"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("GPU", "ok", f"none: {needed}")
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603  # our words
        return Check("GPU", "ok", "; ".join(done.stdout.split("\n")).strip("; "))
    return Check("GPU", "warning", "nvidia-smi is there and does not answer", f"see the driver ({needed})")


def _extras() -> Iterator[Check]:
    for name, (package, use) in EXTRAS.items():
        try:
            installed = f"{package} {version(package)}" if importlib.util.find_spec(package) else ""
        except PackageNotFoundError:
            installed = ""
        missing = f"not installed; for {use}: {install(name)}"
        yield Check(f"extra {name}", "ok", installed or missing)


def _plugins() -> Iterator[Check]:
    """What other distributions add to our sets, each loaded once."""
    for origin, points in plugins().items():
        loaded = []
        for point in points:
            try:
                point.load()
                loaded.append(f"{point.group.removeprefix('gog.')} {point.name}")
            except Exception as error:  # whatever a module of somebody else raises
                why = one_line(f"{point.group} {point.name}: {type(error).__name__}: {error}", 300)
                yield Check("plug-ins", "problem", f"{origin}: {why}", f"repair or uninstall {origin.distribution}")
        if loaded:
            yield Check("plug-ins", "ok", f"{origin}: {', '.join(loaded)}")


def _data() -> Check:
    folder = os.environ.get("GOG_REAL_DATA", "")
    if not folder:
        return Check("GOG_REAL_DATA", "ok", "not set; tests against real rows are left out")
    if not Path(folder).is_dir():
        return Check("GOG_REAL_DATA", "warning", f"{folder} is no folder", "unset it, or name a folder")
    return Check("GOG_REAL_DATA", "ok", folder)
