"""Images in memory, for what runs without a lake."""

import threading

from gog.transforms.images import sha256_hex


class PassingImages:
    """Images by hash. An `ImageStore`; emptied when they are no longer needed."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def read(self, sha256: str) -> bytes:
        """The bytes; `KeyError` when there are none."""
        return self._data[sha256]

    def has(self, sha256: str) -> bool:
        """Whether the bytes are there."""
        return sha256 in self._data

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; returns their sha256."""
        sha256 = sha256_hex(data)
        with self._lock:
            self._data.setdefault(sha256, data)
        return sha256

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._data.clear()
