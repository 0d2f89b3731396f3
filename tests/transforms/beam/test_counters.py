"""Counters that a runner's page shows: each element's own calls, and a run's sums equal to its funnel."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from calling import SMALL
from runs import atlas

from gog.pipelines.config.config import Config
from gog.pipelines.connect.services import close_stores, open_store
from gog.pipelines.lake.lake import Lake
from gog.pipelines.steps.run import run
from gog.schemas import Event, FailureClass, StageCount
from gog.transforms.beam.counters import begin_tally, tally_call, totals
from gog.transforms.beam.window import WindowedAsync


def event(**values: object) -> Event:
    fields = {"key": "k", "kind": "chat", "purpose": "test", "provider": "p", "started": 0.0, "latency_s": 0.0}
    return Event.model_validate({"attempts": 1, "from_store": False} | fields | values)


async def calls(number: int) -> list[int]:
    """An element that asks `number` times, from tasks of its own, while others do."""

    async def call() -> None:
        await asyncio.sleep(0.001)
        tally_call(event(attempts=2, prompt_tokens=10, completion_tokens=1, cost=0.000_002))

    await asyncio.gather(*(asyncio.create_task(call()) for _ in range(number)))
    if number == 3:
        tally_call(event(attempts=5, failure=FailureClass.TIMEOUT))
        tally_call(event(attempts=0, from_store=True))
    return [number]


def make_calls() -> Callable[[int], Awaitable[list[int]]]:
    return calls


def test_each_elements_calls_are_counted_once_in_its_own_step() -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    elements = pipeline | beam.Create([0, 1, 2, 3, 4])
    elements | "First" >> beam.ParDo(WindowedAsync(make_calls, window=2, stage="first"))
    more = WindowedAsync(make_calls, stage="more")
    elements | "Second" >> beam.Filter(lambda number: number == 1) | "More" >> beam.ParDo(more)
    result = pipeline.run()
    result.wait_until_finish()
    assert totals(result) == {
        "first_calls": 2 * 10 + 5,
        "first_from_store": 1,
        "first_failed": 1,
        "first_failed_timeout": 1,
        "first_prompt_tokens": 100,
        "first_completion_tokens": 10,
        "first_micro_dollars": 20,
        "more_calls": 2,
        "more_prompt_tokens": 10,
        "more_completion_tokens": 1,
        "more_micro_dollars": 2,
    }
    steps = [counter.key for counter in result.metrics().query()["counters"]]
    assert {key.metric.name.split("_")[0]: key.step.split("/")[0] for key in steps} == {
        "first": "First",
        "more": "More",
    }


def test_a_call_outside_an_element_is_no_ones() -> None:
    tally = copy_context().run(begin_tally)
    tally_call(event())
    assert not tally


def check_counters(config: Config, log: str) -> None:
    """The log's counters are the funnel, and the calls that the store has events of."""
    funnel: Counter[str] = Counter()
    for row in Lake(Path(config.lake)).read_table(config.run, "funnel", StageCount):
        if not row.stage.startswith("export"):
            funnel.update({f"{row.stage}_entered": row.entered, f"{row.stage}_passed": row.passed})
            funnel[f"{row.stage}_rejected"] += row.entered - row.passed
    sums: Counter[str] = Counter()
    for counters in re.findall(r"pipeline done step=\w+ (.*)", log):
        sums.update({name: int(number) for name, number in (pair.split("=") for pair in counters.split())})
    assert {name: sums[name] for name in funnel} == dict(funnel)
    events = list(open_store(config).events(config.run))

    def of_all_stages(name: str) -> int:
        return sum(number for counter, number in sums.items() if counter.endswith(f"_{name}"))

    assert of_all_stages("calls") == sum(one.attempts for one in events) > 0
    assert of_all_stages("from_store") == sum(one.from_store for one in events)
    assert of_all_stages("prompt_tokens") == sum(one.prompt_tokens for one in events) > 0


def test_a_runs_counters_are_its_funnel_and_its_calls_each_of_one_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[list[str]] = []

    def noted(result: Any) -> dict[str, int]:
        keys = {counter.key for counter in result.metrics().query()["counters"]}
        jobs.append([key.metric.name for key in keys])
        return totals(result)

    monkeypatch.setattr("gog.pipelines.steps.job.totals", noted)
    config = atlas(tmp_path / "lake", count=8, shard_size=4, **SMALL)
    with caplog.at_level(logging.INFO, "gog"):
        run(config)
    check_counters(config, caplog.text)
    assert any(jobs)
    assert all(len(names) == len(set(names)) for names in jobs)
    close_stores()


@pytest.mark.slow
def test_several_worker_processes_are_counted_together_and_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    config = atlas(tmp_path / "lake", count=8, shard_size=8, **SMALL)
    with caplog.at_level(logging.INFO, "gog"):
        run(config, runner_args=("--direct_running_mode=multi_processing", "--direct_num_workers=2"))
    check_counters(config, caplog.text)
    assert "part written step=synthesize table=trajectories" in capfd.readouterr().err, "a worker's own log"
    close_stores()
