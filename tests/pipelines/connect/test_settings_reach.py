"""Each setting of a config reaches the services that it is for, and no other: most of them are keys of kept answers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gog.pipelines.config.config import parse_config
from gog.pipelines.connect.services import close_stores, open_services
from gog.transforms.services.detectors.settings import DetectSettings
from gog.transforms.services.models.chat import ModelSettings
from gog.transforms.services.models.chat.settings import model_id
from gog.transforms.services.pages.reading import ReadingSettings
from gog.transforms.services.search.settings import SearchSettings

AT = "http://127.0.0.1:9/v1#"
LENT = {"put": "http://127.0.0.1:9/{name}", "url": "http://127.0.0.1:9/{name}"}
PLAIN: dict[str, Any] = {
    "teacher": f"{AT}teacher",
    "judge": f"{AT}judge",
    "labeller": f"{AT}labeller",
    "panel": [f"{AT}third"],
    "detector": "http://127.0.0.1:9/detect",
    "text_search": "serper:",
    "image_search": "serper:",
    "pages": "local:",
    "uploader": LENT,
}


@pytest.fixture(autouse=True)
def _keys_and_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SERPER_API_KEY", "BRAVE_API_KEY", "A_KEY"):
        monkeypatch.setenv(name, "planted")
    yield
    close_stores()


def facts(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the services of a config are, and how they are told to work."""
    config = parse_config({**PLAIN, "lake": str(folder / "lake"), **changes})
    services = open_services(config)
    gateway, teacher = services.gateway, services.teacher
    budget = gateway.budget
    named = {
        "teacher": teacher,
        "judge": services.judge,
        "labeller": services.labeller,
        "detector": services.detector,
        "text_search": services.text_search,
        "image_search": services.image_search,
        "pages": services.pages,
    }
    return {name: service.id if service else None for name, service in named.items()} | {
        "panel": [judge.id for judge in services.panel],
        "crops": services.cropper.settings,
        "retry": gateway._retry,
        "jitter": gateway._rng.random(),
        "run": gateway.run,
        "mode": gateway.store.mode,
        "ceilings": (budget._max_cost, budget._max_calls, budget._max_hours),
        "price": budget.price(model_id("teacher", ModelSettings())),
        "teacher's gate": gateway._gates[teacher.id]._limits,
        "one gate": gateway._gates[teacher.id] is gateway._gates[services.judge.id],
        "store": gateway.store.place,
    }


SECTIONS: dict[str, tuple[type, dict[str, Any], set[str]]] = {
    "search": (SearchSettings, {"country": "ch", "language": "de"}, {"text_search", "image_search"}),
    "detect": (DetectSettings, {"confidence": 0.5, "iou": 0.6, "image_size": 320, "limit": 3}, {"detector"}),
    "reading": (ReadingSettings, {"pages": 2, "characters": 500, "summary": True}, {"text_search"}),
}
CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    *(({name: {key: value}}, seen) for name, (_, values, seen) in SECTIONS.items() for key, value in values.items()),
    ({"search": {"thumbnails": 2}}, {"image_search"}),
    ({"search": {"rerank": "judge", "reranked": 5}}, {"text_search"}),
    ({"detect": {"batch": 2}}, set()),
    ({"detect": {"device": "cpu"}}, set()),
    ({"reading": {"robots": False}}, {"pages", "text_search"}),
    ({"teacher": f"{AT}other"}, {"teacher"}),
    ({"judge": f"{AT}other"}, {"judge"}),
    ({"labeller": f"{AT}other"}, {"labeller"}),
    ({"panel": [f"{AT}other", f"{AT}more"]}, {"panel"}),
    ({"teacher": "http://127.0.0.2:9/v1#teacher"}, {"one gate"}),
    ({"models": {"teacher": {"thinking": True}}}, {"teacher"}),
    ({"models": {"judge": {"revision": "2"}}}, {"judge"}),
    ({"models": {"labeller": {"max_pixels": 90_000}}}, {"labeller"}),
    ({"models": {"third": {"thinking_tokens": 9}}}, {"panel"}),
    ({"models": {"teacher": {"key_env": "A_KEY"}}}, set()),
    ({"models": {"nobody": {"thinking": True}}}, set()),
    ({"detector": "http://127.0.0.1:9/detect#2"}, {"detector"}),
    ({"detector": ""}, {"detector"}),
    ({"text_search": "brave:"}, {"text_search"}),
    ({"image_search": "serpapi:"}, {"image_search"}),
    ({"pages": ""}, {"pages", "text_search"}),
    ({"crops": {"padding": 0.4}}, {"crops"}),
    ({"retry": {"timeout_s": 600.0}}, {"retry"}),
    ({"retry": {"attempts": 2}}, {"retry"}),
    ({"seed": 3}, {"jitter"}),
    ({"run": "other"}, {"run"}),
    ({"store": {"mode": "live"}}, {"mode"}),
    ({"budget": {"max_calls": 9}}, {"ceilings"}),
    ({"budget": {"max_hours": 9.0}}, {"ceilings"}),
    ({"prices": {"teacher": {"per_call": 2.0}}}, {"price"}),
    ({"limits": {"127.0.0.1:9": {"in_flight": 5}}}, {"teacher's gate"}),
    ({"limits": {"serper": {"in_flight": 5}}}, set()),
    ({"window": 100}, {"teacher's gate"}),
    ({"window": 10}, set()),
    ({"uploader": {**LENT, "keep": True}}, set()),
    ({"contact": "me@example.org"}, set()),
    ({"export": {"max_tokens": 500}}, set()),
]


@pytest.mark.parametrize(("changes", "seen"), CHANGES, ids=[str(changes)[:60] for changes, _ in CHANGES])
def test_a_setting_reaches_what_it_is_for_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], seen: set[str]
) -> None:
    monkeypatch.setenv("SERPAPI_API_KEY", "planted")
    plain, changed = facts(tmp_path, {}), facts(tmp_path, changes)
    assert {name for name in plain if plain[name] != changed[name]} == seen


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_of_a_section_is_in_the_table(name: str) -> None:
    model: Any = SECTIONS[name][0]
    assert {key for changes, _ in CHANGES for key in changes.get(name, {})} == set(model.model_fields)
