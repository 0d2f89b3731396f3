"""The token bucket: so much a second, and some of it at once."""


class Bucket:
    """Token bucket. An amount above the capacity passes when the bucket is full and leaves it in debt."""

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        """`rate` is in units a second, `capacity` in units, `now` in seconds; it starts full."""
        self.rate, self.capacity = rate, capacity
        self._level, self._at = capacity, now

    def take(self, amount: float, now: float) -> None:
        """Count the amount, whether or not there is so much."""
        self._fill(now)
        self._level = min(self.capacity, self._level - amount)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until the amount may pass."""
        self._fill(now)
        lacking = min(amount, self.capacity) - self._level
        # Below a microsecond it is rounding: waiting for it would never end.
        return lacking / self.rate if lacking > self.rate * 1e-6 else 0.0

    def _fill(self, now: float) -> None:
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now
