"""Answers and events to keep in a store."""

import asyncio

from gog.schemas import Event, FailureClass
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import AnyStore, Entry, Kept


def entry(request: str, answer: str = '"yes"', failure: FailureClass | None = None, kind: str = "chat") -> Entry:
    kept = Kept(None, failure, "because") if failure else Kept(answer)
    return Entry(request_key(request), kind, "big-model", "episode", request, kept, 0.5, 100, 10)


def event(key: str, **changes: object) -> Event:
    fields: dict[str, object] = {
        "key": key,
        "kind": "chat",
        "purpose": "episode",
        "provider": "big-model",
        "started": 1000.0,
        "latency_s": 2.0,
        "attempts": 1,
        "from_store": False,
    }
    return Event.model_validate(fields | changes)


def put(store: AnyStore, *entries: Entry) -> list[Kept]:
    async def all_at_once() -> list[Kept]:
        return list(await asyncio.gather(*map(store.put, entries)))

    return asyncio.run(all_at_once())
