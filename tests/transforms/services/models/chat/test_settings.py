"""Settings of a model, and its id."""

from typing import Any

import pytest
from pydantic import ValidationError

from gog.transforms.services.models.chat import ModelSettings, model_id

CHANGES: list[dict[str, Any]] = [
    {"family": "qwen3-vl"},
    {"max_pixels": 5000},
    {"min_pixels": 50},
    {"image_types": ("png",)},
    {"tool_images": "user"},
    {"merge_users": True},
    {"past_reasoning": "think"},
    {"thinking": False},
    {"thinking_tokens": 4000},
    {"json_replies": "prompt"},
    {"json_replies": "object"},
    {"sampling": "none"},
    {"seeded": False},
    {"length_key": "max_completion_tokens"},
    {"body": {"top_k": 3}},
]


def test_the_plain_id_is_the_models_name() -> None:
    name = "planner:2?skill=0.85"
    assert model_id(name, ModelSettings()) == name
    assert model_id(name, ModelSettings(key_env="SOME_KEY")) == name
    assert model_id(name, ModelSettings(revision="v2")) == f"{name}@v2"


def test_every_setting_that_changes_the_request_changes_the_id() -> None:
    ids = [model_id("m", ModelSettings(**changes)) for changes in [*CHANGES, {}, {"revision": "x"}]]
    assert len(set(ids)) == len(ids)
    assert {key for changes in CHANGES for key in changes} == {*ModelSettings.model_fields} - {"key_env", "revision"}
    assert ids == [model_id("m", ModelSettings(**changes)) for changes in [*CHANGES, {}, {"revision": "x"}]]


@pytest.mark.parametrize("key", ["model", "messages", "stream", "seed", "n", "temperature", "max_tokens", "tools"])
def test_the_body_may_not_set_what_the_client_sets(key: str) -> None:
    with pytest.raises(ValidationError, match=f"may not set {key}"):
        ModelSettings(body={key: 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"thinking": True, "body": {"chat_template_kwargs": {"enable_thinking": False}}},
        {"body": {"chat_template_kwargs": 3}},
        {"min_pixels": 2_000_000},
        {"family": "qwen3-vl", "min_pixels": 1, "max_pixels": 1023},
        {"key_env": "sk-1234 5678"},
        {"family": "llava"},
        {"image_types": ()},
        {"unknown": 1},
    ],
)
def test_settings_that_contradict_themselves_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelSettings(**changes)
