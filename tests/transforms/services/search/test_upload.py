"""The uploader: where pictures go, with what key, and that they are taken away."""

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web
from fakes import picture, sha
from pydantic import ValidationError
from websites import failure, run, site

from gog.schemas import FailureClass
from gog.transforms.services.search.upload import HttpUploader, UploadSettings

KEY = "sig=planted%2B1"


class Bucket:
    """Notes what comes."""

    def __init__(self, **statuses: int) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.statuses = statuses

    async def __call__(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.raw_path, headers, await request.read()))
        status = self.statuses.get(request.method, 201)
        return web.Response(status=status, text=f"said of {request.raw_path} {headers.get('authorization', '')}")


async def lend(
    bucket: Bucket, put: str = "/{name}", key: str = "", data: bytes = b"\xff\xd8\xff", **options: Any
) -> str:
    async with site({"*": bucket}) as base:
        key_env = "UPLOAD_KEY" if key else ""
        settings = UploadSettings(put=base + put, url="https://see.example/c/{name}", key_env=key_env, **options)
        async with HttpUploader(settings, key).lent(data, sha("x")) as address:
            assert [one[0] for one in bucket.seen] == ["PUT"]
        return address


@pytest.mark.parametrize(
    ("data", "suffix", "media_type"),
    [
        (picture(), "png", "image/png"),
        (b"\xff\xd8\xff", "jpg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "webp", "image/webp"),
    ],
)
def test_the_name_is_the_hash_and_the_type_is_right(data: bytes, suffix: str, media_type: str) -> None:
    bucket = Bucket()
    assert run(lend(bucket, data=data)) == f"https://see.example/c/{sha('x')}.{suffix}"
    method, path, headers, body = bucket.seen[0]
    assert (method, path, body) == ("PUT", f"/{sha('x')}.{suffix}", data)
    assert headers["content-type"] == media_type
    assert "authorization" not in headers


def test_a_key_goes_as_a_bearer_token_or_where_the_address_has_it() -> None:
    bucket = Bucket()
    run(lend(bucket, key="planted", headers={"x-ms-blob-type": "BlockBlob"}))
    assert [one[2]["authorization"] for one in bucket.seen] == ["Bearer planted"] * 2
    assert bucket.seen[0][2]["x-ms-blob-type"] == "BlockBlob"
    bucket = Bucket()
    run(lend(bucket, put="/{name}?{key}", key=KEY))
    assert [one[0] for one in bucket.seen] == ["PUT", "DELETE"]
    for _, path, headers, _ in bucket.seen:
        assert path.endswith(f".jpg?{KEY}")
        assert "authorization" not in headers


def test_pictures_may_be_kept() -> None:
    bucket = Bucket()
    run(lend(bucket, keep=True))
    assert [one[0] for one in bucket.seen] == ["PUT"]


@pytest.mark.parametrize(
    ("status", "kind"), [(403, FailureClass.AUTH), (500, FailureClass.SERVER), (404, FailureClass.NOT_FOUND)]
)
def test_a_bucket_that_refuses(status: int, kind: FailureClass) -> None:
    error = failure(lend(Bucket(PUT=status), put="/{name}?{key}", key=KEY))
    assert error.failure is kind
    assert error.detail.startswith("the uploader: HTTP")
    assert "planted" not in error.detail


def test_a_picture_that_could_not_be_deleted_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert run(lend(Bucket(DELETE=403), key="planted"))
    assert f"{sha('x')}.jpg was not deleted" in caplog.text
    assert "planted" not in caplog.text


def test_it_is_deleted_when_the_bucket_took_it_and_never_said_so() -> None:
    bucket = Bucket()

    async def stall(request: web.Request) -> web.Response:
        answer = await bucket(request)
        if request.method == "PUT":
            await asyncio.sleep(60)
        return answer

    async def scenario() -> None:
        async with site({"*": stall}) as base:
            settings = UploadSettings(put=base + "/{name}", url="https://see.example/c/{name}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), HttpUploader(settings).lent(b"\xff\xd8\xff", sha("x")):
                    pass

    run(scenario())
    assert [one[0] for one in bucket.seen] == ["PUT", "DELETE"]


def test_it_is_deleted_when_the_search_is_cancelled() -> None:
    bucket = Bucket()

    async def go() -> None:
        async with site({"*": bucket}) as base:
            settings = UploadSettings(put=base + "/{name}", url=base + "/{name}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), HttpUploader(settings).lent(b"x", sha("x")):
                    await asyncio.sleep(30)

    run(go())
    assert [one[0] for one in bucket.seen] == ["PUT", "DELETE"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"put": "https://x.example/fixed.png"}, "put must be an http or https address with {name}"),
        ({"put": "ftp://x.example/{name}"}, "put must be"),
        ({"url": "/relative/{name}"}, "url must be"),
        ({"put": "https://u:p@x.example/{name}"}, r"must not hold a key.*\(a user name or password\)"),
        ({"put": "https://x.example/{name}?se=2027&sig=planted"}, r"must not hold a key.*\(sig\)"),
        ({"put": "https://x.example/{name}?sig=planted{key}"}, r"must not hold a key.*\(sig\)"),
        ({"url": "https://x.example/{name}?X-Amz-Credential=planted"}, r"must not hold a key"),
        ({"put": "https://x.example/{name}?{key}"}, "name the environment variable"),
        ({"headers": {"Authorization": "Bearer planted"}}, r"must not hold a key \(Authorization\)"),
        ({"headers": {"X-Api-Key": "planted"}}, r"must not hold a key \(X-Api-Key\)"),
        ({"key_env": "not a name"}, "key_env"),
        ({"bucket": "x"}, "bucket"),
    ],
)
def test_settings_that_are_wrong(changes: dict[str, str], said: str) -> None:
    right = {"put": "https://x.example/{name}", "url": "https://x.example/{name}"}
    UploadSettings.model_validate(right)
    with pytest.raises(ValidationError, match=said):
        UploadSettings.model_validate(right | changes)
