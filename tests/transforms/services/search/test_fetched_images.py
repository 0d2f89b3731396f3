"""Images at addresses: asked for once, kept, and what fails told by whether asking again may help."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import published
import pytest

from gog.schemas import FailureClass
from gog.transforms.images import ImageError, ImageLimits
from gog.transforms.services.gateway.retry import Retry
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_web import fetch_public
from gog.transforms.services.search.fetched_images import TYPES, Fetch, FetchedImages

URL = "https://pictures.example.org/1.jpg"


class Web:
    """Gives what it is told to, in order; the last answer stays."""

    def __init__(self, *answers: bytes | FailureClass) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, limits: ImageLimits, timeout_s: float) -> Fetch:
        async def fetch(url: str) -> bytes:
            self.asked.append(url)
            await asyncio.sleep(0)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, FailureClass):
                raise ServiceError(answer, "told to")
            return answer

        return fetch


def images(folder: Path, web: Web, *, replay: bool = False) -> FetchedImages:
    return FetchedImages(
        folder / "fetched", retry=Retry(attempts=2, initial_s=0.0, longest_s=0.0), replay=replay, make_fetch=web
    )


def test_an_image_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    web = Web(b"picture")
    assert images(tmp_path, web)(URL) == b"picture"
    assert images(tmp_path, web)(URL) == b"picture", "another process would find it too"
    assert images(tmp_path, web, replay=True)(URL) == b"picture"
    assert web.asked == [URL]
    assert [path.read_bytes() for path in (tmp_path / "fetched").rglob("*") if path.is_file()] == [b"picture"]


def test_two_that_want_it_at_once_ask_once(tmp_path: Path) -> None:
    web = Web(b"picture")

    async def both() -> list[bytes]:
        reader = images(tmp_path, web)
        return list(await asyncio.gather(reader.read(URL), reader.read(URL)))

    assert asyncio.run(both()) == [b"picture"] * 2
    assert web.asked == [URL]


@pytest.mark.parametrize(
    ("failure", "reason", "asked"),
    [
        (FailureClass.TIMEOUT, "ingest.image_unavailable", 2),
        (FailureClass.NETWORK, "ingest.image_unavailable", 2),
        (FailureClass.SERVER, "ingest.image_unavailable", 2),
        (FailureClass.NOT_FOUND, "ingest.image_gone", 1),
        (FailureClass.BAD_REQUEST, "ingest.image_gone", 1),
        (FailureClass.AUTH, "ingest.image_gone", 1),
    ],
)
def test_failures(tmp_path: Path, failure: FailureClass, reason: str, asked: int) -> None:
    web = Web(failure)
    with pytest.raises(ImageError) as caught:
        images(tmp_path, web)(URL)
    assert (caught.value.reason, len(web.asked)) == (reason, asked)
    assert URL in caught.value.detail
    web.answers = [b"now"]
    assert images(tmp_path, web)(URL) == b"now", "a failure is not kept"


def test_a_passing_failure_is_tried_again_at_once(tmp_path: Path) -> None:
    assert images(tmp_path, Web(FailureClass.SERVER, b"picture"))(URL) == b"picture"


def test_replay_asks_nobody(tmp_path: Path) -> None:
    web = Web(b"picture")
    with pytest.raises(ImageError) as caught:
        images(tmp_path, web, replay=True)(URL)
    assert (caught.value.reason, web.asked) == ("store.miss", [])


@contextmanager
def served(data: bytes) -> Iterator[str]:
    """A server of one picture, as an object store would give it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/1.jpg"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(data) if found else 0))
            self.end_headers()
            self.wfile.write(data if found else b"")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def anywhere(limits: ImageLimits, timeout_s: float) -> Fetch:
    """The guarded fetcher with this machine let in."""

    async def fetch(url: str) -> bytes:
        found = await fetch_public(
            url, limit_bytes=limits.max_bytes, timeout_s=timeout_s, types=TYPES, allow=lambda address, port: True
        )
        return found.data

    return fetch


def test_over_the_guarded_fetcher(tmp_path: Path) -> None:
    with served(published.picture(1)) as address:
        reader = FetchedImages(tmp_path, retry=Retry(attempts=1), make_fetch=anywhere)
        assert reader(f"{address}/1.jpg") == published.picture(1)
        with pytest.raises(ImageError) as caught:
            reader(f"{address}/2.jpg")
        assert caught.value.reason == "ingest.image_gone"
        with pytest.raises(ImageError) as caught:
            FetchedImages(tmp_path / "other", retry=Retry(attempts=1))(f"{address}/1.jpg")
        assert caught.value.reason == "ingest.image_gone", "an address of this machine is not public"
