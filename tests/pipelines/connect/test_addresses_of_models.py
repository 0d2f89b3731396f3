"""From addresses to chat models."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryImages

from gog.pipelines.config.config import Config, ConfigError, parse_config
from gog.pipelines.connect.addresses import check_addresses, episode_of, open_at, policy_id
from gog.pipelines.connect.services import close_stores, services_for
from gog.pipelines.evaluate.run import Evaluation
from gog.schemas import Frame
from gog.transforms.services.models.chat import ChatModel
from gog.transforms.services.models.server_process import ChildModel
from gog.transforms.services.providers import MODELS, host_or_scheme

KEY = "sk-planted-0123456789"
NAMES_OF_KEYS = (
    *(
        "auth",
        "password",
        "code",
        "jwt",
        "sas",
        "credential",
        "X-Amz-Credential",
        "bearer",
        "key",
        "k",
        "sig",
        "pwd",
        "id",
    ),
    *("Ocp-Apim-Subscription-Key", "session", "ticket", "X-Goog-Signature", "access%5Ftoken", "%6Bey", "x;key"),
)


def config(**changes: Any) -> Config:
    return parse_config(changes)


@pytest.mark.parametrize(
    ("address", "id"),
    [
        ("http://127.0.0.1:8000/v1#qwen", "qwen"),
        ("https://host.example/v1?api-version=1#org/qwen", "org/qwen"),
        ("http://127.0.0.1:8000/v1#planner:2?skill=0.85", "planner:2?skill=0.85"),
        ("http://[::1]:8000/v1# spaced ", "spaced"),
        ("vllm:Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"),
    ],
)
def test_a_model_is_known_by_its_name(address: str, id: str) -> None:  # noqa: A002
    model = open_at(MODELS, address, images=MemoryImages())
    assert isinstance(model, ChildModel if address.startswith("vllm") else ChatModel)
    assert model.id == policy_id(address) == id


def test_settings_are_found_by_the_models_name() -> None:
    made = config(models={"a/b": {"revision": "3"}})
    for address in ("http://h/v1#a/b", "vllm:a/b"):
        assert policy_id(address, made) == "a/b@3"
    assert policy_id("http://h/v1#b", made) == "b"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:8000/v1", "write it behind a #"),
        ("http://127.0.0.1:8000/v1#", "write it behind a #"),
        ("http://#m", "names no host"),
        ("http://h:port/v1#m", "no URL"),
        ("http://[::1/v1#m", "no URL"),
        ("vllm:", "names no model"),
        ("vllm:--help", "names no model"),
        ("ftp://h/v1#m", "no address of a model"),
        ("checkpoint:", r"has no gog\.json"),
        ("checkpoint:/no/such/folder", "name the folder `adapter` or `merged`"),
    ],
)
def test_addresses_that_say_too_little(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_at(MODELS, address, images=MemoryImages())


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{KEY}@h/v1#m",
        f"https://{KEY}@h/v1#m",
        f"https://h/v1?api-version=1&api_key={KEY}#m",
        *(f"https://h/v1?{name}={KEY}#m" for name in NAMES_OF_KEYS),
        f"https://h/v1?{KEY}#m",
        f"https://h/v1?{KEY}=1#m",
        f"https://h/v1?api-version=1&{KEY}#m",
        f"https://h/v1?version={KEY * 4}#m",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="key_env") as caught:
        open_at(MODELS, address, images=MemoryImages())
    assert KEY not in str(caught.value)


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    address, made = "https://h/v1#m", config(models={"m": {"key_env": "MY_KEY"}}, teacher="https://h/v1#m")
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="m: the key's variable MY_KEY is not set"):
        open_at(MODELS, address, made, images=MemoryImages())
    with pytest.raises(ConfigError, match="MY_KEY is not set"):
        check_addresses(made)
    assert policy_id(address, made) == "m"
    replay = made.model_copy(update={"store": made.store.model_copy(update={"mode": "replay"})})
    assert open_at(MODELS, address, replay, images=MemoryImages()).id == "m"
    monkeypatch.setenv("MY_KEY", f"{KEY}\nX: 1")
    with pytest.raises(ConfigError, match="line breaks") as caught:
        open_at(MODELS, address, made, images=MemoryImages())
    assert KEY not in str(caught.value)
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    model = open_at(MODELS, address, made, images=MemoryImages())
    assert KEY not in f"{model!r} {model.id} {made!r}"


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("planner:skill=1", "planner"),
        ("https://host.example/v1#m", "host.example"),
        ("http://127.0.0.1:8000/v1#m", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1#other", "127.0.0.1:8000"),
        ("vllm:a/b", "vllm"),
        ("segments:", "segments"),
    ],
)
def test_limits_are_by_host_or_scheme(address: str, provider: str) -> None:
    assert host_or_scheme(address) == provider


def test_models_of_one_host_share_its_gate(tmp_path: Path) -> None:
    made = config(
        lake=str(tmp_path / "lake"),
        teacher="http://127.0.0.1:8000/v1#a",
        judge="http://127.0.0.1:8000/v1#b",
        labeller="http://127.0.0.1:8001/v1#c",
        limits={"127.0.0.1:8000": {"in_flight": 3}},
    )
    try:
        gates = services_for(made.model_dump_json()).gateway._gates
    finally:
        close_stores()
    assert gates["a"] is gates["b"]
    assert gates["a"] is not gates["c"]


def test_a_trained_model_is_spoken_to_as_it_was_trained(tmp_path: Path) -> None:
    notes = {"backbone": "qwen2.5-vl", "thinking": False, "min_pixels": 3136, "max_pixels": 500_000}
    (tmp_path / "gog.json").write_text(json.dumps(notes))
    for scheme in ("vllm", "checkpoint"):
        episode = episode_of(f"{scheme}:{tmp_path}", Config())
        assert (episode.frame, episode.max_pixels) == (Frame.RESIZED_PIXELS, 500_000)
    other = config(models={str(tmp_path): {"family": "qwen3-vl"}})
    assert episode_of(f"vllm:{tmp_path}", other).frame is Frame.PER_MILLE
    assert episode_of("planner:skill=1", Config()) == Config().episode
    assert isinstance(open_at(MODELS, f"checkpoint:{tmp_path}", images=MemoryImages()), ChildModel)
    evaluated = Evaluation(config(lake=str(tmp_path / "lake")), f"checkpoint:{tmp_path}", "x")
    assert evaluated.config.episode.frame is Frame.RESIZED_PIXELS
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="is an adapter: save it merged"):
        open_at(MODELS, f"vllm:{tmp_path}", images=MemoryImages())
