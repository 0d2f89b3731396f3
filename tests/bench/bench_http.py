"""Calls per second over real sockets, beside a bare aiohttp client and the ideal.

`python tests/bench/bench_http.py [--json]`: 2,000 chat calls with a picture each against an endpoint in a process of
its own: 64 at a time at 50 ms, and at 30 ms with 5% at 600 ms; 256 at a time at 500 ms. Two ways in each round: an
aiohttp session that posts the JSON and reads the reply; and `ChatModel` behind `Gateway`, with gate, budget and a
fresh store that keeps every answer. There are twice as many callers: what limits is the connector in the one case,
the gate in the other. Medians of five rounds. The ideal is list scheduling of the same latencies without overhead.
"""

import asyncio
import base64
import hashlib
import heapq
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from gog.schemas import ImagePart, Message, TextPart
from gog.transforms.services.gateway.gate import Gate, Limits
from gog.transforms.services.gateway.gateway import Gateway
from gog.transforms.services.http import close_client
from gog.transforms.services.loop import process_loop
from gog.transforms.services.models.chat import ChatModel
from gog.transforms.services.models.chat.settings import ModelSettings
from gog.transforms.services.models.chat.wire import request_body
from gog.transforms.services.protocols import ChatRequest
from gog.transforms.services.store.sqlite import Store

CALLS = 2000
ROUNDS = 5
MODEL = "standin"
SERVE = "--serve"
_SYSTEM = Message(role="system", content="You look at pictures and answer questions about them. " * 20)


@dataclass(frozen=True)
class Case:
    """How long answers take (seconds; `share` of them `tail_s`), and how many calls are in flight."""

    name: str
    in_flight: int
    usual_s: float
    share: float = 0.0
    tail_s: float = 0.0
    beside_ideal: bool = False
    """Whether the target is a share of the ideal; otherwise of the bare client."""


_QUESTION = b"Whose flag is this? Number "

CASES = (
    Case("64 wide, 50 ms", 64, 0.05),
    Case("64 wide, 30 ms, 5% at 600 ms", 64, 0.03, 0.05, 0.6),
    Case("256 wide, 500 ms", 256, 0.5, beside_ideal=True),
)


_REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "standin",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "<answer>Nairobi</answer>", "reasoning_content": "Kenya."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912},
    }
).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_REPLY), _REPLY)


def latency(body: bytes, case: Case) -> float:
    """Seconds that the answer to this body takes: by the question alone, since clients write JSON in several ways."""
    _, _, question = body.rpartition(_QUESTION)
    return case.tail_s if zlib.crc32(question[:4]) % 10_000 < case.share * 10_000 else case.usual_s


class Standin(asyncio.Protocol):
    """An endpoint that always says the same, after a while: one connection, one request after the other.

    It does as little as a server can, so that the clients are what is measured.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._got = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, _ = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, rest = head.lower().partition(b"content-length:")
        size, start = int(rest.partition(b"\r\n")[0]), len(head) + 4
        if len(self._got) < start + size:
            return
        body = bytes(self._got[start : start + size])
        self._got.clear()
        asyncio.get_running_loop().call_later(latency(body, self._case), self._answer)

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_ANSWER)


async def serve(case: Case) -> None:
    """Print the port, and serve until nobody holds the other end of standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Standin(case), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@dataclass(frozen=True)
class Result:
    """Seconds, medians over the rounds; `spread` is the range of `ours_s`."""

    case: str
    beside_ideal: bool
    calls: int
    ideal_s: float
    bare_s: float
    ours_s: float
    spread: tuple[float, float]


class Picture:
    """An image store with one picture in it."""

    def __init__(self) -> None:
        out = io.BytesIO()
        Image.radial_gradient("L").resize((640, 480)).convert("RGB").save(out, "JPEG")
        self.data = out.getvalue()
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def read(self, sha256: str) -> bytes:
        """The picture."""
        return self.data

    def has(self, sha256: str) -> bool:
        """Whether it is the one."""
        return sha256 == self.sha256

    def put(self, data: bytes, suffix: str) -> str:
        """Nothing is put."""
        raise NotImplementedError


PICTURE = Picture()


def request(number: int) -> ChatRequest:
    """A call with a system message, a picture and a question."""
    question = (ImagePart(image=PICTURE.sha256), TextPart(text=f"{_QUESTION.decode()}{number:04}"))
    return ChatRequest((_SYSTEM, Message(role="user", content=question)))


async def _callers(case: Case, calls: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Seconds until all calls are made, by twice as many callers as there may be calls in flight."""
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(2 * case.in_flight)))
    return time.perf_counter() - began


async def _bare(url: str, case: Case, calls: int, urls: dict[str, str]) -> float:
    connector = aiohttp.TCPConnector(limit=case.in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(number: int) -> object:
            body = request_body(MODEL, request(number), ModelSettings(), urls)
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]

        return await _callers(case, calls, call)


async def _ours(url: str, case: Case, calls: int) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-http-") as folder, Store(Path(folder)) as store:
        model = ChatModel(url, MODEL, PICTURE)
        door = Gateway(store, gates={model.id: Gate(Limits(in_flight=case.in_flight))}, run="bench")
        taken = await _callers(case, calls, lambda number: door.chat(model, request(number), "episode"))
        await close_client()
        if door.statistics.calls != calls:
            raise AssertionError(f"{door.statistics.calls} requests for {calls} calls")
        return taken


def _run(client: Coroutine[Any, Any, float]) -> float:
    """On the loop that the engine's calls are made on."""
    return asyncio.run_coroutine_threadsafe(client, process_loop()).result()


@contextmanager
def standin(case: Case) -> Iterator[str]:
    """The endpoint's base URL."""
    command = [sys.executable, __file__, SERVE, json.dumps(asdict(case))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.stdin.close()


def ideal(case: Case, calls: int, urls: dict[str, str]) -> float:
    """Seconds by list scheduling: each call goes to the slot that is free first."""
    slots = [0.0] * case.in_flight
    for number in range(calls):
        body = json.dumps(request_body(MODEL, request(number), ModelSettings(), urls))
        heapq.heapreplace(slots, slots[0] + latency(body.encode(), case))
    return max(slots)


def measure(case: Case, calls: int = CALLS, rounds: int = ROUNDS) -> Result:
    """Both clients in turn, `rounds` times."""
    urls = {PICTURE.sha256: f"data:image/jpeg;base64,{base64.b64encode(PICTURE.data).decode()}"}
    bare, ours = [], []
    with standin(case) as url:
        for _ in range(rounds):
            bare.append(_run(_bare(url, case, calls, urls)))
            ours.append(_run(_ours(url, case, calls)))
    return Result(
        case=case.name,
        beside_ideal=case.beside_ideal,
        calls=calls,
        ideal_s=ideal(case, calls, urls),
        bare_s=statistics.median(bare),
        ours_s=statistics.median(ours),
        spread=(min(ours), max(ours)),
    )


def bench_http(calls: int = CALLS, rounds: int = ROUNDS) -> tuple[Result, ...]:
    """The whole bench; a small round first, so that imports and caches are paid for before the clock runs."""
    measure(Case("warm-up", 64, 0.01), 200, 1)
    return tuple(measure(case, calls, rounds) for case in CASES)


def table(results: Sequence[Result]) -> str:
    """The results as a table: calls a second."""
    lines = [
        f"{'endpoint':<32}{'ideal/s':>9}{'bare/s':>9}{'ours/s':>9}{'of bare':>9}{'of ideal':>9}{'least-most s':>16}"
    ]
    lines.extend(
        f"{r.case:<32}{r.calls / r.ideal_s:>9.0f}{r.calls / r.bare_s:>9.0f}{r.calls / r.ours_s:>9.0f}"
        f"{r.bare_s / r.ours_s:>9.1%}{r.ideal_s / r.ours_s:>9.1%}{f'{r.spread[0]:.2f}-{r.spread[1]:.2f}':>16}"
        for r in results
    )
    return "\n".join(lines)


if __name__ == "__main__" and sys.argv[1:2] == [SERVE]:
    asyncio.run(serve(Case(**json.loads(sys.argv[2]))))
elif __name__ == "__main__":
    results = bench_http()
    shown = json.dumps([asdict(result) for result in results]) if "--json" in sys.argv else table(results)
    sys.stdout.write(shown + "\n")
