"""From addresses to searches and readers: keys, settings, and what is said where something is missing."""

import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages
from tiny_encoders import cross_encoder

from gog.pipelines.config.config import Config, ConfigError, fingerprint, load_config, parse_config
from gog.pipelines.connect.addresses import check_addresses, open_at, open_reader
from gog.pipelines.connect.services import close_stores, open_services
from gog.pipelines.lake.lake import Lake
from gog.transforms.services.pages.reading import Reading
from gog.transforms.services.providers import IMAGE_SEARCHES, READERS, TEXT_SEARCHES
from gog.transforms.services.search.reranking import Scored

KEYS = {
    members[name].name: members[name].key
    for members in (TEXT_SEARCHES, IMAGE_SEARCHES, READERS)
    for name in members
    if members[name].key
}
UPLOADER = {"put": "https://x.example/{name}", "url": "https://x.example/{name}"}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in KEYS.values():
        monkeypatch.delenv(name, raising=False)
    yield
    close_stores()


def config(**values: Any) -> Config:
    return parse_config(values)


@pytest.mark.parametrize(
    ("address", "service_id"),
    [
        ("serper:", "serper:de-de"),
        ("brave:", "brave:de-de"),
        ("tavily:", "tavily:basic"),
        ("searxng:https://sx.example/", "searxng:sx.example:de"),
    ],
)
def test_text_searches_of_the_web(
    address: str, service_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(text_search=address, search={"country": "de", "language": "de"})
    scheme = address.partition(":")[0]
    if scheme in KEYS:
        with pytest.raises(ConfigError, match=f"set the environment variable {KEYS[scheme]}"):
            open_at(TEXT_SEARCHES, address, made, lake=Lake(tmp_path))
        monkeypatch.setenv(KEYS[scheme], "planted")
    assert open_at(TEXT_SEARCHES, address, made, lake=Lake(tmp_path)).id == service_id
    check_addresses(made)
    assert "planted" not in made.model_dump_json()


@pytest.mark.parametrize(
    ("address", "service_id"), [("serper:", "serper:lens:us-en"), ("serpapi:", "serpapi:lens:us-en")]
)
def test_image_searches_of_the_web(
    address: str, service_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, images = Lake(tmp_path), MemoryImages()
    made = config(image_search=address, uploader=UPLOADER)
    variable = KEYS[address.rstrip(":")]
    with pytest.raises(ConfigError, match=variable):
        open_at(IMAGE_SEARCHES, address, made, images=images, lake=lake)
    monkeypatch.setenv(variable, "planted")
    assert open_at(IMAGE_SEARCHES, address, made, images=images, lake=lake).id == service_id
    alone = config(image_search=address)
    for attempt in (
        lambda: open_at(IMAGE_SEARCHES, address, alone, images=images, lake=lake),
        lambda: check_addresses(alone),
    ):
        with pytest.raises(ConfigError, match=r"set uploader\.put and uploader\.url, or use gallery:FOLDER"):
            attempt()


def test_the_uploaders_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERPER_API_KEY", "planted")
    monkeypatch.delenv("MY_BUCKET", raising=False)
    made = config(image_search="serper:", uploader=UPLOADER | {"key_env": "MY_BUCKET"})
    with pytest.raises(ConfigError, match="set the environment variable MY_BUCKET"):
        open_at(IMAGE_SEARCHES, "serper:", made, images=MemoryImages(), lake=Lake(tmp_path))
    monkeypatch.setenv("MY_BUCKET", "planted")
    open_at(IMAGE_SEARCHES, "serper:", made, images=MemoryImages(), lake=Lake(tmp_path))


def test_a_replay_needs_no_keys(tmp_path: Path) -> None:
    made = config(store={"mode": "replay"}, text_search="serper:", image_search="serpapi:", pages="jina:")
    check_addresses(made)
    assert open_at(TEXT_SEARCHES, "serper:", made, lake=Lake(tmp_path)).id == "serper:us-en"
    assert (
        open_at(IMAGE_SEARCHES, "serpapi:", made, images=MemoryImages(), lake=Lake(tmp_path)).id == "serpapi:lens:us-en"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text_search": "searxng:"}, "no address of a text search"),
        ({"text_search": "searxng:sx.example"}, "searxng:https://HOST"),
        ({"text_search": "searxng:https://u:planted@sx.example"}, "without a user name"),
        ({"text_search": "searxng:https://sx.example/?token=planted"}, "without a user name or key"),
        ({"text_search": "searxng:https://sx.example/?code=planted"}, "without a user name or key"),
        ({"text_search": "serper:us"}, "no address of a text search"),
        ({"text_search": "google"}, "no address of a text search"),
        ({"image_search": "tavily:"}, "no address of an image search"),
        ({"pages": "remote:"}, "no address of a reader"),
        ({"pages": "local:x"}, "no address of a reader"),
        ({"pages": "local:", "reading": {"summary": True}}, "the planner cannot summarise"),
        ({"search": {"rerank": "judge"}}, "the planner cannot order hits"),
        ({"search": {"rerank": "onnx:none.onnx"}}, "there is no such file"),
        ({"search": {"rerank": "google"}}, "no address of a cross-encoder"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_addresses(config(**changes))
    assert "\n" not in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "section",
    [
        {"search": {"country": "Germany"}},
        {"search": {"language": "english!"}},
        {"search": {"thumbnails": 500}},
        {"search": {"reranked": 500}},
        {"reading": {"pages": -1}},
        {"reading": {"page": 3}},
        {"uploader": {"put": "https://x.example/", "url": "https://x.example/{name}"}},
    ],
)
def test_sections_are_checked(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(section))):
        config(**section)


def test_readers() -> None:
    local, jina = open_reader("local:"), open_reader("jina:")
    assert local.id.startswith("local:trafilatura-")
    assert jina.id == "jina:markdown"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ConfigError, match=r"pip install .*\[web\]'"):
        open_reader("local:")


def test_a_config_with_pages_reads_them(tmp_path: Path) -> None:
    made = config(lake=str(tmp_path / "lake"), pages="local:", reading={"pages": 2, "robots": False})
    services = open_services(made)
    assert isinstance(services.text_search, Reading)
    assert services.text_search.id.startswith("corpus:")
    assert "+norobots:2x1000" in services.text_search.id


def test_a_config_with_a_cross_encoder_orders_its_hits(tmp_path: Path) -> None:
    cross_encoder(tmp_path / "config" / "model")
    (tmp_path / "config" / "gog.yaml").write_text('lake: lake\nsearch: {rerank: "onnx:model/model.onnx"}\n')
    made = load_config(tmp_path / "config" / "gog.yaml")
    assert made.search.rerank == f"onnx:{tmp_path}/config/model/model.onnx", "paths start where the config lies"
    services = open_services(made)
    assert isinstance(services.text_search, Scored)
    assert services.text_search.id.startswith("corpus:")


def test_what_changes_the_hits_changes_the_fingerprint() -> None:
    prints = {
        fingerprint(config(**changes))
        for changes in (
            {},
            {"search": {"country": "de"}},
            {"search": {"rerank": "judge"}},
            {"pages": "local:"},
            {"reading": {"pages": 5}},
        )
    }
    assert len(prints) == 5
    assert fingerprint(config(uploader=UPLOADER)) == fingerprint(config())
