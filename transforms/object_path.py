"""Names on an object store (s3://, gs://, az://) as paths, through obstore. Trouble is an `OSError` of one line."""

import os
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gog.schemas.errors import UsageError

SCHEMES: Final = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
EXTRA: Final = "cloud"
"""The extra that brings the library."""
ABSENT: Final = ""
"""As `only_over`: only where nothing is there."""

BLOCK: Final = 8 << 20
"""Bytes that `blocks` asks for at once,"""
_AHEAD: Final = 4
"""and how many times at once: a request for all of a large object would outlast its time."""
_TIMEOUT: Final = "60s"
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
_stores: dict[tuple[int, str], Any] = {}
"""Open buckets, by process and address."""


class AddressError(UsageError):
    """An address that is none, or whose library is not here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is known of an object, by the names of `os.stat_result`. `tag` changes with the content."""

    st_size: int
    st_mtime: float
    """By the store's clock."""
    tag: str

    @property
    def e_tag(self) -> str:
        """The part of the tag that a listing gives, too, where Azure's has no quotes."""
        return self.tag.partition("\n")[0].strip('"')

    @property
    def st_mtime_ns(self) -> int:
        """The same in nanoseconds."""
        return int(self.st_mtime * 1e9)


if TYPE_CHECKING:
    _Path = Path
else:
    _Path = object


class ObjectPath(_Path):
    """A name on an object store: of an object, or what the names of several begin with. Picklable.

    To the type checker it is a path, so that what works with a lake says `Path` alone. What else a path can do is not
    there, rather than done in a folder called `s3:`.
    """

    __slots__ = ("_listed", "address")

    def __init__(self, address: str, listed: ObjectStat | None = None) -> None:
        self.address = address.rstrip("/")
        self._listed = listed

    def __truediv__(self, name: str | os.PathLike[str]) -> "ObjectPath":
        return ObjectPath(f"{self.address}/{os.fspath(name)}")

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"ObjectPath({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and other.address == self.address

    def __lt__(self, other: object) -> bool:
        return self.address < str(other)

    def __hash__(self) -> int:
        return hash(self.address)

    def __reduce__(self) -> tuple[type["ObjectPath"], tuple[str]]:
        return ObjectPath, (self.address,)

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.address.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "ObjectPath":
        """What it is in."""
        return ObjectPath(self.address.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """The object. Raises `FileNotFoundError`."""
        return self.read_tagged()[0]

    def read_tagged(self, most: int | None = None) -> tuple[bytes, ObjectStat]:
        """The object, and what is known of it. Raises `FileNotFoundError`; `ValueError` of one larger than `most`."""
        store, key = self._at()
        with _told(self.address):
            found = store.get(key)
            if most is not None and found.meta["size"] > most:
                raise ValueError(f"it has more than {most} bytes")
            return bytes(found.bytes()), _stat(found.meta)

    def read_range(self, start: int, end: int) -> bytes:
        """The object's bytes from `start` up to `end`. Raises `FileNotFoundError`."""
        store, key = self._at()
        with _told(self.address):
            return bytes(store.get_range(key, start=start, end=end))

    def blocks(self, size: int) -> Iterator[bytes]:
        """The object's first `size` bytes by and by, some read ahead. Raises `OSError`, also where it has fewer."""
        ahead = deque[Future[bytes]]()
        with ThreadPoolExecutor(_AHEAD, "gog-blocks") as pool:
            for start in range(0, size, BLOCK):
                ahead.append(pool.submit(self._block, start, min(size, start + BLOCK)))
                if len(ahead) == _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _block(self, start: int, end: int) -> bytes:
        data = self.read_range(start, end)
        if len(data) != end - start:
            raise OSError(f"{self.address}: it ends before byte {end:,}")
        return data

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The object as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write(self, data: bytes, only_over: str | None = None) -> str:
        """Write the object, whole; returns its tag. With `only_over` only where the object that is there has that tag,
        or, for `ABSENT`, where none is there: `FileExistsError` otherwise.
        """
        store, key = self._at()
        mode: Any = "overwrite" if only_over is None else "create" if only_over == ABSENT else _version_of(only_over)
        with _told(self.address, writing=True):
            return _tag(store.put(key, data, mode=mode))

    def upload(self, file: Path) -> None:
        """Write the object from a file, of any size."""
        store, key = self._at()
        with _told(self.address, writing=True):
            store.put(key, file)

    def copy(self, to: "ObjectPath") -> None:
        """Copy the object to another name of its bucket; the store does it, and no bytes come here."""
        store, key = self._at()
        with _told(to.address):
            store.copy(key, to._at()[1])

    def stat(self) -> ObjectStat:  # type: ignore[override]
        """What is known of the object; of one that a listing gave, what the listing said."""
        if self._listed is not None:
            return self._listed
        store, key = self._at()
        with _told(self.address):
            return _stat(store.head(key))

    def exists(self) -> bool:
        """Whether there is an object of this name."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    is_file = exists

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object. One that is not there is removed too, whatever `missing_ok`."""
        del missing_ok
        store, key = self._at()
        with suppress(FileNotFoundError), _told(self.address):  # Azure alone tells
            store.delete(key)

    def glob(self, pattern: str) -> Generator["ObjectPath", None, None]:
        """Objects below it whose names fit, in order: `NAME`, or `*/NAME`, each with wildcards. One listing."""
        folder, _, name = pattern.rpartition("/")
        if folder not in ("", "*"):
            raise ValueError(f"{pattern!r}: names of objects, or of those one level below")
        if folder:
            for below in self.folders():
                yield from below.glob(name)
            return
        begins = name.partition("*")[0]
        store, key = self._at()
        with _told(self.address):
            listed = store.list_with_delimiter(f"{key}/")["objects"]
        for meta in sorted(listed, key=lambda meta: str(meta["path"])):
            last = meta["path"].rpartition("/")[2]
            if last.startswith(begins) and fnmatchcase(last, name):
                yield ObjectPath(f"{self.address}/{last}", _stat(meta))

    def folders(self) -> list["ObjectPath"]:
        """What is below it as folders are, in order."""
        store, key = self._at()
        with _told(self.address):
            listed = store.list_with_delimiter(f"{key}/")["common_prefixes"]
        return sorted(self / prefix.rstrip("/").rpartition("/")[2] for prefix in listed)

    def below(self) -> list[Path]:
        """All objects below it, however deep, in order."""
        store, key = self._at()
        with _told(self.address):
            found = [meta for some in store.list(f"{key}/") for meta in some]
        start = len(key) + 1
        return sorted(ObjectPath(f"{self.address}/{meta['path'][start:]}", _stat(meta)) for meta in found)

    def remove_all(self) -> None:
        """Remove all objects below it."""
        for path in self.below():
            path.unlink()

    @property
    def bucket(self) -> str:
        """The address of the bucket that it is in."""
        return "/".join(self.address.split("/")[:3])

    def _at(self) -> tuple[Any, str]:
        """The open bucket, and the name of the object in it."""
        return open_bucket(self.bucket), self.address[len(self.bucket) + 1 :]


def open_bucket(address: str) -> Any:
    """The open bucket of an address, shared by the process. Raises `AddressError` where obstore is not here."""
    key = os.getpid(), address
    if key not in _stores:
        scheme = address.partition("://")[0]
        try:
            from obstore.store import from_url
        except ImportError:
            raise AddressError(
                f"{address}: {SCHEMES.get(scheme, scheme)} needs an extra: pip install 'glance-or-gaze[{EXTRA}]'"
            ) from None
        _stores[key] = from_url(address, **_options(scheme))
    return _stores[key]


def _options(scheme: str) -> dict[str, Any]:
    """How buckets are opened, by obstore's names; keys, regions and endpoints come from where its clouds look."""
    plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    options: dict[str, Any] = {"client_options": {"timeout": _TIMEOUT, "allow_http": plain}}
    if scheme == "s3" and not os.environ.get("AWS_ACCESS_KEY_ID") and Path("~/.aws").expanduser().is_dir():
        try:
            from obstore.auth.boto3 import Boto3CredentialProvider

            options["credential_provider"] = Boto3CredentialProvider()
        except (ImportError, ValueError):  # no boto3, or no keys that it could find
            pass
    return options


@contextmanager
def _told(address: str, *, writing: bool = False) -> Iterator[None]:
    """Errors of the library as an `OSError` of one line."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise FileExistsError(f"{address}: another has written it") from error
    except FileNotFoundError as error:
        if writing or "NoSuchBucket" in str(error):
            raise OSError(f"{address}: there is no such bucket") from error
        raise FileNotFoundError(f"{address}: no such object") from error
    except BaseError as error:
        text = str(error).partition("\n\nDebug source")[0]
        raise OSError(f"{address}: {' '.join(text.split())[:300]}") from error


def _stat(meta: Mapping[str, Any]) -> ObjectStat:
    return ObjectStat(meta["size"], meta["last_modified"].timestamp(), _tag(meta))


def _tag(result: Mapping[str, Any]) -> str:
    """ETag and version of an object in one text."""
    return f"{result.get('e_tag') or ''}\n{result.get('version') or ''}"


def _version_of(tag: str) -> dict[str, str]:
    e_tag, _, version = tag.partition("\n")
    return {name: value for name, value in (("e_tag", e_tag), ("version", version)) if value}
