"""Samples of previews: what they hold, and how sure they make a plan."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.config.config import Config
from gog.pipelines.rehearse.samples import Range, booked, interval, part_of, read_samples, unseen
from gog.schemas import Event
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept
from gog.transforms.services.store.sqlite import Store


def happened(key: str, **changes: object) -> Event:
    fields: dict[str, object] = {
        "key": request_key(key),
        "kind": "chat",
        "purpose": "episode",
        "provider": "m",
        "started": 1.0,
        "latency_s": 2.0,
        "attempts": 1,
        "from_store": False,
        "prompt_tokens": 100,
        "completion_tokens": 10,
    }
    return Event.model_validate(fields | changes)


def test_each_seed_is_a_sample(tmp_path: Path) -> None:
    config = Config(run="r")
    with Store(tmp_path) as store:
        asked: list[tuple[str, str, dict[str, object]]] = [
            ("s1", "a", {}),
            ("s1", "a", {"from_store": True, "prompt_tokens": 0, "completion_tokens": 0, "latency_s": 0.0}),
            ("s1", "b", {"purpose": "screen"}),
            ("s2", "c", {}),
            ("s2", "d", {}),
            ("s3", "kept", {"from_store": True, "attempts": 0, "prompt_tokens": 0, "completion_tokens": 0}),
        ]
        for part, key, changes in asked:
            store.log(part_of(config, part), happened(key, **changes))
        store.log(part_of(Config(run="r", seed=1), "s4"), happened("e"))
        store.log("r", happened("f"))
        kept = Entry(request_key("kept"), "chat", "m", "episode", "kept", Kept('"x"'), 0.5, 700, 70)
        asyncio.run(store.put(kept))
        store.flush()
        samples = read_samples(config, store)
        assert read_samples(Config(run="other"), store) is None
        assert store.spend(booked("r")).calls == 6, "the parts count with their preview"
    assert samples is not None
    assert samples.seeds == 3
    column = samples.take("chat", "episode", "m")
    assert column is not None
    assert (column.calls, column.read, column.written) == ([1, 2, 1], [100, 200, 700], [10, 20, 70])
    assert (column.seconds, column.timed) == ([2.0, 4.0, 0.0], 3)
    assert samples.take("chat", "episode", "m") is None, "one taker"
    assert samples.take("chat", "screen", "m:") is None
    assert samples.take("chat", "screen", "m") is not None


def test_a_service_is_found_by_what_its_id_begins_with(tmp_path: Path) -> None:
    config = Config(run="r")
    with Store(tmp_path) as store:
        store.log(part_of(config, "s"), happened("a", kind="text_search", provider="serper:us-en"))
        store.flush()
        samples = read_samples(config, store)
    assert samples
    assert samples.take("text_search", "episode", "serp:") is None
    assert samples.take("text_search", "episode", "serper:") is not None


@pytest.mark.parametrize("run", ["r", "x" * 64])
def test_the_names_of_previews(run: str) -> None:
    assert len(booked(run)) <= 64
    assert booked(run).endswith("-preview")


def test_the_interval_is_students() -> None:
    # Mean 2, variance 1, t(2; 0.975) = 4.3027: 100 seeds to come.
    low, high = interval([1.0, 2.0, 3.0], 100)
    half = 4.302652 * (1.0 * (100 * 100 / 3 + 100)) ** 0.5
    assert low == 0
    assert high == pytest.approx(200 + half, rel=1e-5)
    assert interval([5.0, 5.0], 10) == Range(50.0, 50.0)
    assert interval([4.0], 10) == Range(20.0, 80.0), "one seed says little"
    assert unseen(5, 100) == Range(0.0, 60.0)


def test_the_interval_holds_as_often_as_it_says() -> None:
    rng = random.Random(5)
    held = 0
    for _ in range(1000):
        sample = [rng.gauss(20, 4) for _ in range(5)]
        low, high = interval(sample, 50)
        held += low <= sum(rng.gauss(20, 4) for _ in range(50)) <= high
    assert 930 <= held <= 970


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.integers(0, 10**6))
def test_an_interval_is_around_the_mean(sample: list[float], left: int) -> None:
    low, high = interval(sample, left)
    mean = sum(sample) / len(sample) * left
    assert 0 <= low <= mean * (1 + 1e-9)
    assert high >= mean * (1 - 1e-9)
