"""From addresses to services: who fills which, and what is said where nobody does."""

import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages

from gog.pipelines.config.config import Config, ConfigError, parse_config
from gog.pipelines.connect import services
from gog.pipelines.connect.addresses import (
    check_addresses,
    open_at,
    policy_id,
)
from gog.pipelines.connect.services import check_ready, close_stores, open_services, open_store, services_for
from gog.pipelines.lake.lake import Lake
from gog.schemas import Event
from gog.transforms.services.providers import DETECTORS, IMAGE_SEARCHES, MODELS, TEXT_SEARCHES
from gog.transforms.services.search.corpus import build_corpus
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.store.records import Mode
from gog.transforms.services.store.sqlite import Store


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    close_stores()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A small index of one's own."""
    build_corpus([("https://a", "Lakes", "Lakes freeze from the top.")], tmp_path / "index" / "corpus", name="index")
    build_gallery([], tmp_path / "index" / "gallery", name="index")
    return tmp_path / "index"


def config(tmp_path: Path, index: Path, **changes: Any) -> Config:
    values = {"lake": str(tmp_path / "lake"), "text_search": f"corpus:{index}", "image_search": f"gallery:{index}"}
    return parse_config(values | changes)


@pytest.mark.parametrize(
    ("address", "id"),
    [("planner:skill=0.4", "skill=0.4"), ("planner:", "skill=0.85"), ("planner: skill = 1 ,", "skill=1")],
)
def test_policies(address: str, id: str) -> None:  # noqa: A002
    policy = open_at(MODELS, address, images=MemoryImages())
    assert policy.id.startswith("planner:")
    assert policy.id.endswith(id)
    assert policy_id(address) == policy.id


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("gpt-5", "no address of a model"),
        ("", "no address of a model"),
        ("planner:skill=2", "from 0 to 1"),
        ("planner:skill=nan", "from 0 to 1"),
        ("planner:skill=high", "from 0 to 1"),
        ("planner:skil=0.5", "unknown option skil"),
    ],
)
def test_addresses_of_no_policy(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_at(MODELS, address, images=MemoryImages())


def test_searches_over_an_index_of_ones_own(tmp_path: Path, index: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert open_at(TEXT_SEARCHES, f"corpus:{index}", lake=lake).id.startswith("corpus:index@")
    assert open_at(IMAGE_SEARCHES, f"gallery:{index}", images=MemoryImages(), lake=lake).id.startswith("gallery:index@")
    assert open_at(DETECTORS, "segments:", images=MemoryImages()).id.startswith("segments:")


WRONG = [
    ({"text_search": "bing:"}, "no address of a text search"),
    ({"image_search": "lens:"}, "no address of an image search"),
    ({"detector": "yolo:11"}, "no address of a detector"),
    ({"text_search": "corpus:nowhere"}, "gog index build --out nowhere"),
    ({"image_search": "gallery:"}, "gog index build --out index"),
    ({"judge": "nobody"}, "no address of a model"),
    ({"labeller": "nobody"}, "no address of a model"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_checking_says_what_opening_would_and_writes_nothing(
    tmp_path: Path, index: Path, changes: dict[str, str], said: str
) -> None:
    wrong = config(tmp_path, index, **changes)
    with pytest.raises(ConfigError, match=said):
        check_addresses(wrong)
    assert not (tmp_path / "lake").exists()
    with pytest.raises(ConfigError, match=said):
        services.open_services(wrong)


def test_checking_what_is_right(tmp_path: Path, index: Path) -> None:
    check_addresses(config(tmp_path, index))
    check_addresses(config(tmp_path, index, detector=""))
    check_addresses(Config(lake=str(tmp_path / "lake")))
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labeller": "vllm:org/model", "vllm": {"executable": "/no/vllm"}}, "no executable '/no/vllm' here"),
        ({"teacher": "http://h/v1#m", "judge": "http://h/v1#n"}, "no price is known for m, n: add it to prices"),
        ({"detector": "http://h/detect"}, "no price is known for detector"),
        ({"pages": "jina:"}, "no price is known for jina"),
    ],
)
def test_what_would_stop_a_run_later_is_said_first(
    tmp_path: Path, index: Path, changes: dict[str, Any], said: str
) -> None:
    wrong = parse_config(config(tmp_path, index).model_dump() | {"budget": {"max_cost": 1}} | changes)
    with pytest.raises(ConfigError, match=said):
        check_ready(wrong)
    free = {name: {"per_call": 0} for name in ("m", "n", "detector", "jina", "org/model")}
    check_ready(parse_config(wrong.model_dump() | {"prices": free, "vllm": {"executable": sys.executable}}))
    check_addresses(wrong)


def test_services_are_opened_once_a_config(tmp_path: Path, index: Path) -> None:
    one, other = config(tmp_path, index), config(tmp_path, index, window=3)
    services = services_for(one.model_dump_json())
    assert services_for(one.model_dump_json()) is services
    again = services_for(other.model_dump_json())
    assert again is not services
    assert again.gateway.store is services.gateway.store, "one store a process"


def test_words_are_refused_where_the_image_search_knows_none(tmp_path: Path, index: Path) -> None:
    asked = config(tmp_path, index, episode={"image_query": True})
    with pytest.raises(ConfigError, match=r"^episode\.image_query: words find no pictures in gallery:index@"):
        open_services(asked)


def test_no_detector(tmp_path: Path, index: Path) -> None:
    assert services_for(config(tmp_path, index, detector="").model_dump_json()).detector is None


def test_closing_writes_what_waits_and_a_store_can_be_opened_again(tmp_path: Path, index: Path) -> None:
    made = config(tmp_path, index)
    store = open_store(made)
    event = {"key": "k", "kind": "chat", "purpose": "p", "provider": "x", "started": 1.0, "latency_s": 1.0}
    store.log("run", Event.model_validate(event | {"attempts": 1, "from_store": False}))
    close_stores()
    with Store(tmp_path / "lake" / "store", Mode.REPLAY) as read:
        assert [event.key for event in read.events("run")] == ["k"]
    assert open_store(made) is not store
