"""What was made last, by key: as much of it as fits."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key, the least recently used forgotten. Thread-safe."""

    def __init__(self, most: int, weight: Callable[[V], int] = lambda value: 1) -> None:
        """Hold values of at most so much weight together, and always the last one."""
        self._most, self._weight, self._held = most, weight, 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """What is held under the key, which counts as used; None where nothing is."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        """Hold the value, unless another was first; returns what is held."""
        with self._lock:
            if key in self._values:
                return self._values[key]
            self._values[key] = value
            self._held += self._weight(value)
            while self._held > self._most and len(self._values) > 1:
                self._held -= self._weight(self._values.popitem(last=False)[1])
            return value

    def drop(self, key: K) -> None:
        """Hold nothing under the key."""
        with self._lock:
            if key in self._values:
                self._held -= self._weight(self._values.pop(key))
