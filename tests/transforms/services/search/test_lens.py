"""Image searches by address: the picture is lent, searched with, taken away; thumbnails are fetched with care."""

import base64
from typing import Any

import pytest
from aiohttp import web
from fakes import MemoryImages, picture
from websites import anywhere, endless, failure, moved, run, site

from gog.schemas import FailureClass, Hit
from gog.transforms.images import decode_image
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.public_addresses import is_public
from gog.transforms.services.search.lens import THUMBNAIL_BYTES, Lens, Thumbnails, inline
from gog.transforms.services.search.results import Found, Locale
from gog.transforms.services.search.upload import HttpUploader, UploadSettings

SMALL = picture(64, 48)


class FixedLens(Lens):
    """Finds what it is told, and notes what it was asked with."""

    name = "fixed:lens"

    def told(self, *thumbnails: str, fails: ServiceError | None = None) -> "FixedLens":
        self.thumbs, self.fails, self.asked = thumbnails, fails, list[str]()
        return self

    async def matches(self, url: str, top_k: int) -> tuple[Found, ...]:
        self.asked.append(url)
        if self.fails is not None:
            raise self.fails
        hits = (Hit(rank=n, title=str(n), url=f"https://hit.example/{n}") for n in range(1, len(self.thumbs) + 1))
        return tuple(Found(hit, thumb) for hit, thumb in zip(hits, self.thumbs, strict=True))


class Bucket:
    """A server that keeps what is put, and gives it to everybody."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.log: list[str] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.log.append(request.method)
        name = request.path.rpartition("/")[2]
        if request.method == "PUT":
            self.held[name] = await request.read()
        elif request.method == "DELETE":
            del self.held[name]
        return web.Response(body=self.held.get(name, b""))


def searched(*thumbnails: str, count: int = 0, **options: Any) -> tuple[tuple[Hit, ...], MemoryImages]:
    """The hits with these thumbnails, and the image store afterwards."""
    images = MemoryImages()
    sha256 = images.put(picture(), "png")

    async def go() -> tuple[Hit, ...]:
        async with site({"*": Bucket()}) as base:
            uploader = HttpUploader(UploadSettings(put=base + "/{name}", url=base + "/{name}"))
            few = Thumbnails(count, options.get("allow", anywhere))
            return await FixedLens("k", Locale(), images, uploader, few).told(*thumbnails).search(sha256, 5)

    return run(go()), images


def test_a_picture_is_lent_for_the_search_alone() -> None:
    images, bucket = MemoryImages(), Bucket()
    sha256 = images.put(picture(), "png")

    class Looking(FixedLens):
        async def matches(self, url: str, top_k: int) -> tuple[Found, ...]:
            assert url == f"https://public.example/{sha256}.png"
            assert bucket.held == {f"{sha256}.png": picture()}
            return ()

    async def go() -> None:
        async with site({"*": bucket}) as base:
            settings = UploadSettings(put=base + "/crops/{name}", url="https://public.example/{name}")
            await Looking("k", Locale(), images, HttpUploader(settings)).search(sha256, 5)

    run(go())
    assert bucket.held == {}
    assert bucket.log == ["PUT", "DELETE"]


def test_it_is_taken_away_when_the_search_fails() -> None:
    images, bucket = MemoryImages(), Bucket()
    sha256 = images.put(picture(), "png")

    async def go() -> None:
        async with site({"*": bucket}) as base:
            uploader = HttpUploader(UploadSettings(put=base + "/{name}", url=base + "/{name}"))
            lens = FixedLens("k", Locale(), images, uploader).told(fails=ServiceError(FailureClass.SERVER, "down"))
            await lens.search(sha256, 5)

    assert failure(go()).failure is FailureClass.SERVER
    assert bucket.held == {}


def test_an_image_that_is_not_stored() -> None:
    uploader = HttpUploader(UploadSettings(put="http://x.example/{name}", url="http://x.example/{name}"))
    lens = FixedLens("k", Locale(), MemoryImages(), uploader).told()
    assert failure(lens.search("0" * 64, 5)).failure is FailureClass.NOT_FOUND
    assert lens.asked == []


def test_no_thumbnail_is_fetched_unless_asked_for() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=SMALL, content_type="image/png")

    async def go() -> None:
        async with site({"*": answer}) as base:
            hits = await hits_with(base, 0)
            assert [hit.thumbnail_sha256 for hit in hits] == [None] * 3
            hits = await hits_with(base, 2)
            assert [hit.thumbnail_sha256 is not None for hit in hits] == [True, True, False]

    async def hits_with(base: str, count: int) -> tuple[Hit, ...]:
        images = MemoryImages()
        sha256 = images.put(picture(), "png")
        uploader = HttpUploader(UploadSettings(put=base + "/put/{name}", url=base + "/put/{name}"))
        lens = FixedLens("k", Locale(), images, uploader, Thumbnails(count, anywhere))
        hits = await lens.told(*(f"{base}/thumb/{n}" for n in range(3))).search(sha256, 5)
        for hit in hits:
            if hit.thumbnail_sha256:
                image = decode_image(images.read(hit.thumbnail_sha256))
                assert (image.width, image.height) == (64, 48)
        return hits

    run(go())
    assert sorted(path for path in asked if "thumb" in path) == ["/thumb/0", "/thumb/1"]


def test_thumbnails_are_small_whatever_comes() -> None:
    data = "data:image/png;base64," + base64.b64encode(picture(900, 700)).decode()
    hits, images = searched(data, count=1)
    assert hits[0].thumbnail_sha256 is not None
    image = decode_image(images.read(hits[0].thumbnail_sha256))
    assert max(image.width, image.height) == 224


@pytest.mark.parametrize(
    "thumbnail",
    [
        *("", "not an address", "data:image/png;base64,####", "data:image/png,abc", "data:;base64,eA=="),
        *("http://127.0.0.1/", "http://169.254.169.254/", "file:///etc/passwd", "http://u:p@8.8.8.8/"),
        "data:image/png;base64," + "A" * (2 * THUMBNAIL_BYTES),
    ],
    ids=lambda t: t[:24],
)
def test_a_thumbnail_that_cannot_be_had_costs_nothing_but_itself(thumbnail: str) -> None:
    hits, images = searched(thumbnail, count=5, allow=is_public)
    assert [(hit.title, hit.thumbnail_sha256) for hit in hits] == [("1", None)]
    assert len(images.blobs) == 1


def test_hostile_thumbnail_servers() -> None:
    async def go() -> tuple[Hit, ...]:
        pages: dict[str, Any] = {
            "/endless": endless(headers={"Content-Type": "image/png"}),
            "/html": "<html>",
            "/moved": moved("http://10.0.0.1/x.png"),
            "/broken": web.Response(body=SMALL[:100], content_type="image/png"),
            "/good": web.Response(body=SMALL, content_type="image/png"),
            "*": Bucket(),
        }
        async with site(pages) as base:
            images = MemoryImages()
            sha256 = images.put(picture(), "png")
            uploader = HttpUploader(UploadSettings(put=base + "/put/{name}", url=base + "/put/{name}"))
            few = Thumbnails(9, lambda address, port: address.is_loopback)
            lens = FixedLens("k", Locale(), images, uploader, few)
            names = ("endless", "html", "moved", "broken", "missing", "good")
            return await lens.told(*(f"{base}/{name}" for name in names)).search(sha256, 9)

    assert [hit.thumbnail_sha256 is not None for hit in run(go())] == [False] * 5 + [True]


def test_inline_pictures() -> None:
    assert inline("data:image/png;base64," + base64.b64encode(SMALL).decode()) == SMALL


def test_the_id_says_how_many_thumbnails() -> None:
    uploader = HttpUploader(UploadSettings(put="http://x.example/{name}", url="http://x.example/{name}"))
    lens = FixedLens("planted", Locale(), MemoryImages(), uploader)
    few = FixedLens("planted", Locale(), MemoryImages(), uploader, Thumbnails(3))
    assert (lens.id, few.id) == ("fixed:lens:us-en", "fixed:lens:us-en+3thumbnails")
    assert "planted" not in repr(lens)
