"""Images in memory, for what runs without a lake."""

import threading

from gog.transforms.images import sha256_hex


class PassingImages:
    """Images by hash. An `ImageStore`; emptied when they are no longer needed."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._asked: dict[str, int] = {}
        self._now = 0
        self._lock = threading.Lock()

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none."""
        with self._lock:
            data = self._data[sha256]
            self._asked[sha256] = self._now
        return data

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        with self._lock:
            if there := sha256 in self._data:
                self._asked[sha256] = self._now
        return there

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; returns their sha256."""
        sha256 = sha256_hex(data)
        with self._lock:
            self._data.setdefault(sha256, data)
            self._asked[sha256] = self._now
        return sha256

    def moment(self) -> int:
        """Now, for `forget`: later than all before."""
        with self._lock:
            self._now += 1
            return self._now

    def forget(self, before: int) -> None:
        """Forget those that nobody put, read or asked for since that moment."""
        with self._lock:
            for sha256 in [name for name, asked in self._asked.items() if asked < before]:
                del self._data[sha256], self._asked[sha256]

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._data.clear()
            self._asked.clear()
