"""The store and the budget of a config: kinds, places, prices, ceilings that workers share."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calling import Place, contents, place

from gog.pipelines.cli.main import call
from gog.pipelines.config.config import Config, parse_config
from gog.pipelines.connect.services import close_stores, services_for
from gog.pipelines.connect.stores import freshness, make_budget, make_store, read_store, store_path
from gog.pipelines.rehearse.doctor import _store as check_store
from gog.schemas import FailureClass
from gog.transforms.services.gateway.budget import BudgetReached, PriceError
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Entry, Kept, Mode
from gog.transforms.services.store.sqlite import Store


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_stores()


def config(folder: Path, **changes: Any) -> Config:
    return parse_config({"lake": str(folder / "lake")} | changes)


def test_without_an_address_answers_are_kept_in_a_folder(tmp_path: Path) -> None:
    for path, wanted in (("", tmp_path / "lake" / "store"), (str(tmp_path / "else"), tmp_path / "else")):
        made = config(tmp_path, store={"path": path})
        assert store_path(made) == str(wanted)
        assert read_store(made) is None
        assert not wanted.exists()
        assert check_store(made).found == "mode record, empty"
        store = make_store(made)
        asyncio.run(store.put(Entry(request_key("a"), "chat", "m", "episode", "a", Kept('"x"'))))
        store.close()
        read = read_store(made)
        assert type(read) is Store
        assert read is not None
        assert (read.mode, read.count()) == (Mode.REPLAY, 1)
        read.close()
        assert "1 answers" in check_store(made).found


def test_lifetimes_are_days(tmp_path: Path) -> None:
    made = config(tmp_path, store={"lifetimes": {"refused": 2}, "refresh": ["chat"], "refresh_before": 5.0})
    fresh = freshness(made)
    assert fresh.counts("detect", FailureClass.REFUSED, 0.0, 2 * 86_400 - 1)
    assert not fresh.counts("detect", FailureClass.REFUSED, 0.0, 2 * 86_400)
    assert not fresh.counts("chat", None, 4.0, 6.0)
    assert fresh.counts("chat", None, 5.0, 6.0)


def test_a_service_without_a_price_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    teacher = {"teacher": "http://127.0.0.1:9/v1#my/model", "budget": {"max_cost": 1.0}}
    with pytest.raises(PriceError, match="my/model"):
        services_for(config(tmp_path, **teacher).model_dump_json())
    priced = config(tmp_path, **teacher, prices={"my/model": {"prompt_per_million": 1.0}})
    assert services_for(priced.model_dump_json()).gateway.budget.price("my/model").cost(10**6) == 1.0
    listed = config(tmp_path, **teacher | {"teacher": "http://127.0.0.1:9/v1#gpt-4o"})
    assert services_for(listed.model_dump_json()).gateway.budget.price("gpt-4o").cost(10**6) == 2.5


def spend(made: Config, most: int = 1000) -> int:
    store = make_store(made)
    budget = make_budget(made, store, ["planner:1"])

    async def scenario() -> int:
        for count in range(most):
            try:
                await budget.admit()
            except BudgetReached:
                return count
            budget.settle(0.0, 0.0)
        return most

    done = asyncio.run(scenario())
    store.close()
    return done


def test_workers_share_a_ceiling_in_slices(tmp_path: Path) -> None:
    made = config(tmp_path, budget={"max_calls": 100, "slices": 10})
    assert spend(made, 5) == 5
    assert spend(made) == 90, "the first holds a slice"
    assert spend(made.model_copy(update={"run": "other"})) == 100
    assert spend(config(tmp_path, budget={"max_calls": 120, "slices": 10})) == 20


class TestRuns:
    def test_a_run_stops_at_its_ceiling_and_goes_on_with_a_higher_one(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        budget = {"max_calls": 60, "slices": 6}
        made = place(tmp_path, 6, 6, budget=budget)
        assert call(["run", "-c", str(made.config)]) == 1
        assert "max_calls" in capsys.readouterr().err
        close_stores()
        assert 40 <= self.calls(made, capsys) <= 60
        higher = place(tmp_path, 6, 6, budget=budget | {"max_calls": 5000})
        assert call(["run", "-c", str(higher.config)]) == 0
        close_stores()
        (tmp_path / "whole").mkdir()
        whole = place(tmp_path / "whole", 6, 6)
        assert call(["run", "-c", str(whole.config)]) == 0
        close_stores()
        assert contents(made.run) == contents(whole.run)
        assert self.calls(made, capsys) == self.calls(whole, capsys), "nothing was asked twice"

    def calls(self, made: Place, capsys: pytest.CaptureFixture[str]) -> int:
        capsys.readouterr()
        assert call(["status", "--lake", str(made.lake), "--json"]) == 0
        found: int = json.loads(capsys.readouterr().out)["calls"]
        return found
