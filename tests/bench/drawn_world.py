"""A world of drawn pictures for `bench_scale.py`, whose model and searches cost next to nothing: what is left is the
engine. Question, picture and answer follow from a number, which the question names.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from gog.schemas import Hit, Message
from gog.schemas.messages import Function, ToolCall
from gog.transforms.services.models.provider import ModelProvider
from gog.transforms.services.protocols import ChatReply, ChatRequest
from gog.transforms.services.provider import Opening, Provider

SIZE: Final = (320, 240)
SYLLABLES: Final = ("ba", "do", "fi", "gu", "ka", "le", "mi", "no", "pa", "ro", "su", "te", "vi", "xo", "ze", "ju")
MAPPING: Final = {"question": "question", "answers": ["answers"], "image": "image", "columns": {"entity": "entity"}}
_NUMBER: Final = re.compile(r"thing (\d+)")


def name_of(number: int) -> str:
    """The answer to the question after a thing."""
    return "".join(SYLLABLES[number >> shift & 15] for shift in range(0, 24, 4)).capitalize()


def draw(folder: Path, count: int) -> Path:
    """So many pictures that are not alike, and rows that ask about them, three of a kind; returns the rows' file."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = folder / "rows.jsonl"
    with rows.open("w") as file:
        for number in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
            data = io.BytesIO()
            coarse.resize(SIZE, Image.Resampling.BICUBIC).save(data, "JPEG", quality=80)
            (folder / f"{number}.jpg").write_bytes(data.getvalue())
            file.write(json.dumps(_row(number)) + "\n")
    return rows


def _row(number: int) -> dict[str, Any]:
    return {
        "question": f"What is the name of thing {number}?",
        "answers": [name_of(number)],
        "image": f"{number}.jpg",
        "entity": f"kind {number // 3}",
    }


def _share(*parts: Any) -> float:
    """A draw from 0 to 1 that is the same each time."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32


class Model:
    """Knows one thing in five by heart; of the others it glances or gazes, searches, and is right so often."""

    def __init__(self, right: float) -> None:
        self._right, self.id = right, _id(right)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One reply."""
        texts = [message.text for message in request.messages]
        number = next(int(found[1]) for text in texts if (found := _NUMBER.search(text)))
        done = sum(message.role == "tool" for message in request.messages)
        if not request.tools:
            return _answered(name_of(number if _share("known", number) < 0.2 else number + 1))
        if done == 0 and _share("glance", number) < 0.5:
            return _called(done, "image_search", {})
        if done == 0:
            return _called(done, "gaze", {"bbox_2d": [200, 200, 700, 800], "label": "the thing", "image": 0})
        if done == 1:
            return _called(done, "text_search", {"query": f"name of thing {number}"})
        return _answered(name_of(number if _share("right", number) < self._right else number + 1))


def _answered(name: str) -> ChatReply:
    message = Message(role="assistant", content=f"<answer>{name}</answer>", reasoning_content="Evidence: useful.")
    return ChatReply(message, prompt_tokens=500, completion_tokens=20)


def _called(turn: int, tool: str, arguments: dict[str, Any]) -> ChatReply:
    call = ToolCall(id=f"call_{turn}", function=Function(name=tool, arguments=json.dumps(arguments)))
    thought = "I look at the whole." if turn == 0 else "Evidence: ambiguous. It has to be looked up."
    message = Message(role="assistant", content="", reasoning_content=thought, tool_calls=(call,))
    return ChatReply(message, "tool_calls", prompt_tokens=500, completion_tokens=20)


class Search:
    """Finds what a number or a picture stands for."""

    id = "drawn:1"

    async def search(self, asked: str, top_k: int) -> tuple[Hit, ...]:
        """Hits, best first."""
        return tuple(self._hits(asked, top_k))

    def _hits(self, asked: str, top_k: int) -> Iterator[Hit]:
        found = _NUMBER.search(asked)
        first = int(found[1]) if found else int(asked[:6], 16)
        for rank in range(1, min(top_k, 5) + 1):
            number = first + 1000 * (rank - 1)
            text = f"Thing {number} is called {name_of(number)} by all who know it."
            yield Hit(rank=rank, title=f"Thing {number}", url=f"drawn://{number}", snippet=text, score=1 / rank)


def _id(right: float) -> str:
    return f"drawn:{right}"


def _search(opening: Opening) -> Search:
    return Search()


MODEL: Final = ModelProvider(
    name="drawn",
    example="drawn:0.9",
    fits=lambda opening: 0 <= float(opening.rest) <= 1,
    open=lambda opening: Model(float(opening.rest)),
    identify=lambda opening: _id(float(opening.rest)),
    embedded=True,
)
SEARCH: Final = Provider(name="drawn", example="drawn:", open=_search, embedded=True)
HERE: Final = "bench.drawn_world"
SERVICES: Final = {
    "teacher": f"{HERE}.MODEL:0.9",
    "labeller": f"{HERE}.MODEL:0.5",
    "judge": "planner:skill=1",
    "detector": "",
    **dict.fromkeys(("text_search", "image_search"), f"{HERE}.SEARCH:"),
}
"""A config's keys."""
