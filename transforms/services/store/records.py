"""What a store holds and tells, and what every store can do, whatever it is kept in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, Self

from gog.schemas import Event, FailureClass
from gog.transforms.services.store.schema import StoreError

FOR_EVER: Final = float("inf")


class Mode(StrEnum):
    """`record` looks up and keeps, `live` does neither, `replay` looks up and calls nobody."""

    LIVE = "live"
    RECORD = "record"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds of a request: an answer (JSON text), or a failure with its detail."""

    answer: str | None
    failure: FailureClass | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request (canonical JSON) and what came of it; `cost` in US dollars."""

    key: str
    kind: str
    provider: str
    purpose: str
    request: str
    kept: Kept
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used: requests made (answers from the store are none), dollars, tokens and hours at work."""

    calls: int = 0
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Dated:
    """An entry and when it was kept, in seconds since 1970. It replaces an answer that is older than `over`."""

    entry: Entry
    created: float
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long what is kept counts. Nothing of it holds in replay, which takes what there is."""

    lifetimes: Mapping[FailureClass, float] = field(default_factory=dict)
    """Seconds that a failure of a class counts; without one, permanent failures do for ever and passing ones never."""
    refresh: frozenset[str] = frozenset()
    """Kinds whose answers are bought anew,"""
    before: float = 0.0
    """where they were kept before this time (seconds since 1970)."""

    def counts(self, kind: str, failure: FailureClass | None, created: float, now: float) -> bool:
        """Whether what was kept then still counts."""
        if kind in self.refresh and created < self.before:
            return False
        if failure is None:
            return True
        return now - created < self.lifetimes.get(failure, FOR_EVER if failure.permanent else 0.0)

    def over(self, kind: str) -> float:
        """Before when an answer of the kind is replaced by a new one."""
        return self.before if kind in self.refresh else 0.0


ALWAYS: Final = Freshness()
"""Answers and permanent failures count for ever."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The events of a run with one provider, kind and purpose, added up."""

    provider: str
    kind: str
    purpose: str
    events: int
    calls: int
    """Requests made, every attempt counted."""
    from_store: int
    failed: int
    """Questions that ended in a failure; those that were refused because the run had stopped were never asked."""
    prompt_tokens: int
    completion_tokens: int
    cost: float
    seconds: float
    """Latencies of what the store did not answer, added up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a part of a run, with what it took when it was bought."""

    part: str
    """What stands behind `RUN/` in the name that its events are booked under; empty for the run itself."""
    provider: str
    kind: str
    purpose: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    """None where the run did not buy it: another one had."""


MADE_HERE: Final = "crop"
"""Purpose of what is kept without an event: work of our own, which no run has to pay for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are meant: all that fit every part that is given."""

    kinds: tuple[str, ...] = ()
    before: float | None = None
    """Kept before this time (seconds since 1970)."""
    failures: bool = False
    """Failures alone."""
    run: str | None = None
    """Asked by this run; what is `MADE_HERE` counts with every run."""
    unasked_by: tuple[str, ...] | None = None
    """Asked by none of these runs. What is `MADE_HERE` has no events, so it is never meant."""


ALL: Final = Choice()


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one kind, provider and failure class (empty: answers), added up."""

    kind: str
    provider: str
    failure: str
    entries: int
    bytes: int
    """Of request, answer and detail as they are kept: long texts are compressed."""
    cost: float
    prompt_tokens: int
    completion_tokens: int
    oldest: float
    newest: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an entry; the key is empty where it is the store's own trouble."""

    key: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding entries to a store: first wins."""

    new: int = 0
    same: int = 0
    conflicts: tuple[str, ...] = ()
    """Keys under which the store holds another answer, which stays."""


class AnyStore(Protocol):
    """Every answer of the outside, kept under the key of its request, with the events of the runs that asked.

    Events are booked under a run's name, or under `RUN/PART` for a part of it, which counts with the run.
    """

    mode: Mode

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def get(self, key: str) -> Kept | None:
        """What is kept of the request, or None: not asked yet, kept too long ago, or live mode."""

    async def find(self, key: str) -> Kept | None:
        """`get` that holds up no event loop."""

    async def claim(self, key: str) -> Kept | None:
        """None: the request is the caller's to make, who then calls `release`, after `put` where there is an answer.

        Waits while another process that uses the store makes it, and returns what is kept by then. A claim ends with
        the process that has it.
        """

    def release(self, key: str) -> None:
        """Give up a claim."""

    async def put(self, entry: Entry, run: str = "", event: Event | None = None) -> Kept:
        """Keep the entry, and the event with it; returns what the store now holds. Raises `StoreError`."""

    def log(self, run: str, event: Event) -> None:
        """Write an event soon, without waiting."""

    def flush(self) -> None:
        """Return when everything handed over so far is written. Raises `StoreError`."""

    def events(self, run: str) -> Iterator[Event]:
        """The events of a run, in the order they were written."""

    def tally(self, run: str, since: float = 0.0) -> list[Tally]:
        """The run's events since a time (seconds since 1970), by provider, kind and purpose."""

    def spend(self, run: str) -> Spent:
        """What the run has used so far."""

    def asked(self, run: str) -> Iterator[Asked]:
        """What the run's parts asked, each request of a part once, in order of part and key."""

    def count(self) -> int:
        """Answers and failures that are kept."""

    def size(self) -> int:
        """Bytes of all that is kept."""

    def choose(self, choice: Choice) -> Iterator[Dated]:
        """The entries that are meant, in order of their keys. Raises `StoreError` at a damaged one."""

    def keys(self, choice: Choice) -> list[str]:
        """Keys of the entries that are meant, in order."""

    def statistics(self, choice: Choice) -> list[Group]:
        """The entries that are meant, by kind, provider and failure class."""

    def runs(self) -> dict[str, int]:
        """Runs that have events in the store, and how many; parts count with their run."""

    def problems(self) -> Iterator[Problem]:
        """What is wrong with it: damage, keys that are not the hash of their request, answers of the wrong form."""

    def add(self, entries: Iterable[Dated]) -> Added:
        """Keep entries of another store. Nothing replaces an answer; a failure gives way to one."""

    def drop(self, keys: Sequence[str], runs: Sequence[str] = ()) -> None:
        """Remove entries by key, and the events of runs with their parts."""

    def close(self) -> None:
        """Write what is waiting and close. Raises `StoreError` when something could not be written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Close; what went wrong in the block comes before what goes wrong then."""
        try:
            self.close()
        except StoreError:
            if error is None:
                raise
