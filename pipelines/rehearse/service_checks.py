"""Each service of a config by one small call: whether it answers, and as it should."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gog.pipelines.config.addresses import KINDS, named_services
from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.connect.addresses import check_order, open_at, open_reader, server_of, with_words
from gog.pipelines.connect.mcp_tools import with_pinned
from gog.pipelines.lake.lake import Lake, LakeError
from gog.pipelines.rehearse.checks import Check, State
from gog.schemas import WHOLE, EpisodeImage, ImagePart, Message, TextPart
from gog.transforms.atlas.rows import atlas_row
from gog.transforms.atlas.world import world_version
from gog.transforms.episode.tools import servers_among
from gog.transforms.images import decode_image
from gog.transforms.passing_images import PassingImages
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.http import close_client
from gog.transforms.services.loop import run_on_loop
from gog.transforms.services.mcp.server import close_servers
from gog.transforms.services.protocols import ChatRequest, Sampling, ServiceError
from gog.transforms.services.providers import MODELS, embedded
from gog.transforms.services.search.gallery import Gallery
from gog.transforms.services.search.grid_table import GRID_SAYS
from gog.transforms.synthesize.form import cut_before_words, form_faults, form_requests
from gog.transforms.synthesize.judge import try_live

ANSWERED_S: Final = 120.0
"""Seconds within which a service has to answer; a teacher may think at length."""
NAME_AN_ENCODER: Final = "name an encoder: gog index build --image-encoder onnx:FILE ... (docs/search.md)"
_NAMES: Final = {"detect": "detector", "text_search": "text search", "image_search": "image search", "page": "pages"}


def services(config: Config) -> Iterator[Check]:
    """Models, detector, searches and pages, the order of hits, and tools of MCP servers."""
    yield from _services(config)
    yield from _order(config)
    yield from _tool_servers(config)


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
