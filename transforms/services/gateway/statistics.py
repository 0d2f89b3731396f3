"""What a process asked of its services, counted while it asks."""

from collections import Counter
from dataclasses import dataclass, field

from gog.schemas import FailureClass


@dataclass(slots=True)
class Statistics:
    """What this process asked and got. Written on the event loop, read from anywhere."""

    calls: int = 0
    """Requests made, every attempt counted."""
    from_store: int = 0
    joined: int = 0
    """Requests that waited for an identical one in flight."""
    in_flight: int = 0
    """Requests at a provider now."""
    cost: float = 0.0
    failures: Counter[FailureClass] = field(default_factory=Counter)
    """Questions that ended in a failure, stored ones included."""
    tokens: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Prompt and completion tokens bought, by provider."""
