"""A search provider of another package, by its entry point or a dotted path: runs, ceilings and trainings."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from plugged import installed, look_again

from gog.pipelines.config.addresses import plugins_of
from gog.pipelines.config.config import Config, ConfigError, parse_config
from gog.pipelines.connect.addresses import check_addresses, open_at
from gog.pipelines.connect.services import check_ready, close_stores, services_for
from gog.pipelines.lake.lake import Lake
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.images import CropSettings
from gog.transforms.services.providers import TEXT_SEARCHES
from gog_train.services import RULES, Addresses, open_services

MODULE = """
from gog.schemas import Hit
from gog.transforms.services.provider import Provider
from gog.transforms.services.search.settings import SearchSettings

class Shelf:
    def __init__(self, key, room, country):
        self.key, self.id = key, f"shelf:{room}-{country}"

    async def search(self, query, top_k):
        return (Hit(rank=1, title=query, url="shelf:1", snippet=f"asked with {self.key}"),)

SHELF = Provider(
    name="shelf",
    example="shelf:ROOM",
    fits=lambda opening: opening.rest.isalpha(),
    key="SHELF_API_KEY",
    open=lambda opening: Shelf(opening.key, opening.rest, opening.of(SearchSettings).country),
)
"""


@pytest.fixture(autouse=True)
def _shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    installed(tmp_path, monkeypatch, {"gog.text_search": {"shelf": "shelf_plugin:SHELF"}}, shelf_plugin=MODULE)
    look_again(TEXT_SEARCHES, monkeypatch)
    monkeypatch.setenv("SHELF_API_KEY", "planted-key")
    yield
    close_stores()


def config(tmp_path: Path, address: str = "shelf:hall", **changes: Any) -> Config:
    return parse_config({"lake": str(tmp_path / "lake"), "text_search": address} | changes)


def test_it_is_told_its_address_its_key_and_the_settings(tmp_path: Path) -> None:
    told = config(tmp_path, search={"country": "ke"})
    service = open_at(TEXT_SEARCHES, told.text_search, told, lake=Lake(tmp_path / "lake"))
    assert service.id == "shelf:hall-ke"
    (hit,) = asyncio.run(service.search("lakes", 3))
    assert (hit.title, hit.snippet) == ("lakes", "asked with planted-key")


def test_a_run_opens_it_behind_the_gateway_and_names_it(tmp_path: Path) -> None:
    told = config(tmp_path)
    services = services_for(told.model_dump_json())
    assert services.text_search.id == "shelf:hall-us"
    assert plugins_of(told) == {"text search shelf": "gog-test-plugin 1.2"}


def test_a_dotted_path_needs_no_entry_point(tmp_path: Path) -> None:
    told = config(tmp_path, "shelf_plugin.SHELF:attic")
    check_addresses(told)
    assert open_at(TEXT_SEARCHES, told.text_search, told, lake=Lake(tmp_path / "lake")).id == "shelf:attic-us"
    ((name, origin),) = plugins_of(told).items()
    assert (name, origin.split()[0]) == ("text search shelf_plugin.SHELF", "shelf_plugin")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("shelf:", "'shelf:' is no address of a text search; for example .*'shelf:'"),
        ("shelve:hall", "'shelve:hall' is no address of a text search; for example 'brave:'.*'shelf:'"),
        ("shelf_plugin.NONE:hall", "text search 'shelf_plugin.NONE' cannot be loaded"),
    ],
)
def test_an_address_that_it_does_not_fill_is_refused_before_a_run(tmp_path: Path, address: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check_addresses(config(tmp_path, address))


def test_without_its_key_nothing_begins_but_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHELF_API_KEY")
    with pytest.raises(ConfigError, match="set the environment variable SHELF_API_KEY"):
        check_addresses(config(tmp_path))
    check_addresses(config(tmp_path, store={"mode": "replay"}))


@pytest.mark.parametrize("address", ["shelf:hall", "shelf_plugin.SHELF:hall"])
def test_its_price_is_the_users_to_say(tmp_path: Path, address: str) -> None:
    limited: dict[str, Any] = {"budget": {"max_cost": 5.0}}
    with pytest.raises(ConfigError, match="no price is known for shelf: add it to prices"):
        check_ready(config(tmp_path, address, **limited))
    priced = config(tmp_path, address, **limited, prices={"shelf": {"per_call": 0.25}})
    check_ready(priced)
    assert services_for(priced.model_dump_json()).gateway.budget.price("shelf:hall-us").cost() == 0.25


def test_a_training_searches_with_it(tmp_path: Path) -> None:
    addresses = Addresses("shelf:hall", "gallery:atlas", (RULES,), tmp_path / "calls")
    services = open_services(addresses, CropSettings(), EpisodeSettings())
    assert services.tools.text_search.id == "shelf:hall-us"
    services.close()
