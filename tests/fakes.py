"""Services that do as they are told: scripted policies, fixed searches, images in memory behind a real door."""

import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from gog.schemas import Box, Function, Hit, Message, Region, Seed, ToolCall
from gog.transforms.episode.crops import Cropper
from gog.transforms.images import CropSettings
from gog.transforms.services.gateway.budget import Budget
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ChatReply, ChatRequest, Detection, PageReader, ServiceError
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store
from gog.transforms.synthesize.services import Services

WIDTH, HEIGHT = 640, 480

Told = Message | ServiceError | ChatReply


def sha(text: str) -> str:
    """A sha256 for a name."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def picture(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A PNG of grey tiles, reddish on the left half and bluish on the right, that differ from place to place."""
    tiles = Image.frombytes("L", (16, 12), random.Random(0).randbytes(192)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    left, right = Image.new("L", (width // 2, height), 255), Image.new("L", (width, height), 0)
    red, blue = right.copy(), Image.new("L", (width, height), 255)
    red.paste(left, (0, 0))
    blue.paste(right.crop((0, 0, width // 2, height)), (0, 0))
    out = io.BytesIO()
    Image.merge("RGB", (red, tiles, blue)).save(out, "PNG")
    return out.getvalue()


def side_of(data: bytes) -> str:
    """Which side of `picture` a crop of it shows: left, right, or both for the whole."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if image.size == (WIDTH, HEIGHT):
        return "both"
    red, _, blue = image.split()
    return "left" if sum(red.resize((8, 8)).tobytes()) > sum(blue.resize((8, 8)).tobytes()) else "right"


def said(text: str = "", *, think: str | None = None) -> Message:
    """A turn of words alone."""
    return Message(role="assistant", content=text, reasoning_content=think)


def called(
    name: str, arguments: Any = None, *, text: str = "", think: str | None = None, call_id: str = "x"
) -> Message:
    """A turn that calls one tool; `arguments` that are text go as they are."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    call = ToolCall(id=call_id, function=Function(name=name, arguments=written))
    return Message(role="assistant", content=text, reasoning_content=think, tool_calls=(call,))


def gaze(box: Sequence[float], *, image: int = 0, think: str | None = None) -> Message:
    """A gaze."""
    return called("gaze", {"bbox_2d": list(box), "label": "it", "image": image}, think=think)


def answered(text: str, *, think: str | None = None) -> Message:
    """A turn that answers."""
    return said(f"<answer>{text}</answer>", think=think)


@dataclass(eq=False)
class MemoryImages:
    """Images in a dictionary."""

    blobs: dict[str, bytes] = field(default_factory=dict)

    def read(self, sha256: str) -> bytes:
        """The bytes."""
        return self.blobs[sha256]

    def has(self, sha256: str) -> bool:
        """Whether they are there."""
        return sha256 in self.blobs

    def put(self, data: bytes, suffix: str) -> str:
        """Keep them."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256


@dataclass
class ScriptedPolicy:
    """Says what its script says: a list, in the order of the requests, or a function of the request."""

    script: list[Told] | Callable[[ChatRequest], Told]
    id: str = "script:1"
    requests: list[ChatRequest] = field(default_factory=list)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """The next line."""
        self.requests.append(request)
        told = self.script(request) if callable(self.script) else self.script.pop(0)
        if isinstance(told, ServiceError):
            raise told
        return told if isinstance(told, ChatReply) else ChatReply(told, "stop", 100, 10)

    @property
    def heard(self) -> str:
        """Everything that it was ever sent, as text."""
        parts = []
        for request in self.requests:
            parts += [message.model_dump_json() for message in request.messages]
            parts.append(json.dumps(request.tools, ensure_ascii=False))
        return "\n".join(parts)


Found = tuple[Hit, ...] | ServiceError


@dataclass
class FakeSearch:
    """A search by a function of the query (or of the image's hash)."""

    find: Callable[[str], Found] = lambda _: ()
    id: str = "fake-search:1"
    asked: list[str] = field(default_factory=list)
    words: "FakeSearch | None" = None
    """Of an image search: what finds its pictures by words."""

    async def search(self, query: str, top_k: int) -> tuple[Hit, ...]:
        """The hits, or the failure."""
        self.asked.append(query)
        found = self.find(query)
        if isinstance(found, ServiceError):
            raise found
        return found[:top_k]


@dataclass
class FakeDetector:
    """Always finds the same."""

    found: tuple[Detection, ...] | ServiceError = ()
    id: str = "fake-detector:1"
    phrases: list[tuple[str, ...]] = field(default_factory=list)

    async def detect(self, image_sha256: str, phrases: tuple[str, ...]) -> tuple[Detection, ...]:
        """The same."""
        self.phrases.append(phrases)
        if isinstance(self.found, ServiceError):
            raise self.found
        return self.found


def hit(title: str, snippet: str = "", score: float | None = 0.9, rank: int = 1, thumbnail: str | None = None) -> Hit:
    """A hit whose address comes from its title."""
    url = f"fake://{title.replace(' ', '-')}"
    return Hit(rank=rank, title=title, url=url, snippet=snippet, score=score, thumbnail_sha256=thumbnail)


def seed_of(images: MemoryImages, *, answers: Sequence[str] = ("Nairobi",), **changes: Any) -> Seed:
    """A seed about a picture that is in the store."""
    sha256 = images.put(picture(), "png")
    values: dict[str, Any] = {
        "seed_id": "seed-1",
        "dataset": "fake",
        "question": "What is the capital of the country of the flag at the top right?",
        "answers": tuple(answers),
        "image_sha256": sha256,
        "width": WIDTH,
        "height": HEIGHT,
        "image_phash": "0" * 16,
        "entity": "Kenya",
    }
    return Seed(**values | changes)


async def _no_sleep(_: float) -> None:
    return


@contextmanager
def services(
    folder: Path,
    teacher: ScriptedPolicy | None = None,
    *,
    text: FakeSearch | None = None,
    image: FakeSearch | None = None,
    judge: ScriptedPolicy | None = None,
    detector: FakeDetector | None = None,
    budget: Budget | None = None,
    mode: Mode = Mode.LIVE,
    pages: PageReader | None = None,
) -> Iterator[tuple[Services, MemoryImages]]:
    """Fakes behind a real door (no retries that wait), with their image store."""
    images = MemoryImages()
    with Store(folder, mode) as store:
        door = Gateway(store, budget=budget, retry=Retry(attempts=2), sleep=_no_sleep)
        yield (
            Services(
                gateway=door,
                images=images,
                cropper=Cropper(store, images, CropSettings()),
                teacher=teacher or ScriptedPolicy([]),
                judge=judge or ScriptedPolicy([], id="judge:1"),
                detector=detector,
                text_search=text or FakeSearch(id="fake-text:1"),
                image_search=image or FakeSearch(id="fake-image:1"),
                pages=pages,
            ),
            images,
        )


def region_of(seed: Seed, box: Box, label: str = "a flag", number: int = 0) -> Region:
    """A region of the seed."""
    return Region(region_id=f"region-{number}", seed_id=seed.seed_id, box=box, label=label, score=0.9, source="d")


def obedient(request: ChatRequest, *, answer: str = "Nairobi", query: str = "capital of Kenya") -> Message:
    """A teacher that writes whatever turn a composing note asks for."""
    note = request.messages[-1].text
    wanted = note.split("nothing else:\n", 1)[1].split("\n", 1)[0]
    judged = re.search(r'begin it with "(Evidence: [a-z ]+\.)"', note)
    think = f"{judged[1]} So I go on." if judged else "I begin."
    if wanted == "answer":
        return answered(answer, think=think)
    name, arguments = wanted.split(" ", 1)
    return called(name, {"query": query} if name == "text_search" else json.loads(arguments), think=think)


HALF_LEFT, HALF_RIGHT = Box(0.0, 0.0, 0.5, 1.0), Box(0.5, 0.0, 1.0, 1.0)
