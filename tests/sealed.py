"""A sealed world made by hand: answers that were kept, a page, a tool of an MCP server, and indexes with encoders."""

import io
from pathlib import Path
from typing import Any

from fakes import MemoryImages
from PIL import Image
from tiny_encoders import picture_encoder, text_encoder

from gog.schemas import FailureClass, Hit
from gog.transforms.images import encode
from gog.transforms.services.mcp.pinned import PinnedTool
from gog.transforms.services.protocols import Page, ToolAnswer, ToolPart
from gog.transforms.services.search.corpus import Corpus, build_corpus
from gog.transforms.services.search.encoders_of import open_encoder
from gog.transforms.services.search.gallery import Gallery, build_gallery
from gog.transforms.services.search.sealing import Asked, Sealed, seal_world
from gog.transforms.services.store.forms import HITS, PAGE, TOOL_ANSWER
from gog.transforms.services.store.keys import page_request, request_key, search_request, tool_request
from gog.transforms.services.store.records import Dated, Entry, Kept

READER = "local:tests:1"
PINNED = PinnedTool(
    server="mcp:https://mcp.example/mcp",
    version="notes 1",
    name="find",
    called="find",
    about="Find notes.",
    properties={"query": {"type": "string", "description": "Words."}},
    required=("query",),
    digest="d" * 16,
)
PETS = [("https://pets/1", "Cats", "A cat purrs."), ("https://pets/2", "Dogs", "A hound barks.")]


def plain(colour: str) -> bytes:
    """A picture of one colour and a corner."""
    image = Image.new("RGB", (90, 60), colour)
    image.paste((0, 0, 0), (0, 0, 20, 20))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def entry(kind: str, provider: str, request: str, form: Any, answer: Any) -> Dated:
    """An answer as a store keeps it, or a failure."""
    failed = isinstance(answer, FailureClass)
    kept = Kept(None, answer, "gone") if failed else Kept(form.dump_json(answer).decode())
    return Dated(Entry(request_key(request), kind, provider, "episode", request, kept), 1.0)


def build_indexes(folder: Path, both: str = "") -> None:
    """Two pictures and two pages, each with a tiny encoder of ONNX, or with one of both by its address."""
    told = [(f"https://pets/{name}", name, "", plain(name)) for name in ("red", "blue")]
    seen = open_encoder(both or f"onnx:{picture_encoder(folder / 'sees')}")
    read = open_encoder(both or f"onnx:{text_encoder(folder / 'reads')}")
    build_gallery(told, folder / "index/gallery", name="pets", encoder=seen)
    build_corpus(PETS, folder / "index/corpus", name="pets", encoder=read)


def sealed(folder: Path, *, indexes: bool = True, top_k: int = 5, both: str = "") -> Sealed:
    """Write `folder/world`, beside what it was made of."""
    build_indexes(folder, both)
    images = MemoryImages()
    thumbnail = images.put(*encode(Image.new("RGB", (40, 30), "green")))
    index = folder / "index" if indexes else None
    text, picture = Corpus.open(folder / "index/corpus").id, Gallery.open(folder / "index/gallery", images).id
    asked = {
        "text_search": Asked(text, index / "corpus" if index else None),
        "image_search": Asked(picture, index / "gallery" if index else None),
        "page": Asked(READER),
    }
    known = (Hit(rank=1, title="As it was", url="https://pets/9", snippet="Kept.", thumbnail_sha256=thumbnail),)
    calls = tool_request(PINNED.id, {"query": "towers"})
    entries = [
        entry("text_search", text, search_request("text_search", text, "known", top_k), HITS, known),
        entry("text_search", picture, search_request("text_search", picture, "a known picture", top_k), HITS, known),
        entry("text_search", "serper:us-en", search_request("text_search", "serper:us-en", "q", top_k), HITS, known),
        entry("page", READER, page_request(READER, "https://pets/9"), PAGE, Page("https://pets/9", "A whole page.")),
        entry("page", READER, page_request(READER, "https://pets/8"), PAGE, FailureClass.NOT_FOUND),
        entry("tool", PINNED.id, calls, TOOL_ANSWER, ToolAnswer((ToolPart(text="A tower of 1890."),))),
    ]
    return seal_world(folder / "world", "pets", asked, entries, images)
