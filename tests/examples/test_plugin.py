"""`examples/plugin` in a fresh environment: `gog doctor` lists it, a run uses it, and what comes of it names it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from environments import install, run, scratch

import gog as face
from gog.pipelines.config.config import load_config
from gog.schemas import Evidence, Seed
from gog.transforms.atlas.pages import articles

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"
PROJECT = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
POINTS: dict[str, dict[str, str]] = PROJECT["entry-points"]
ORIGIN = f"{PROJECT['name']} {PROJECT['version']}"
NAMES = {group.removeprefix("gog."): name for group, members in POINTS.items() for name in members}
"""The one name that the package adds to each set."""

PAY = """
import json, sys
from gog.schemas import Outcome
from gog_train.rewards.terms import Finished, RewardSettings
answer, gold, more = json.loads(sys.argv[1])
rollout = Finished(json.loads(gold), (f"<answer>{answer}</answer>",), (), 0, answer, Outcome.CORRECT)
score, paid = RewardSettings(more=more).pay(rollout)
print(json.dumps([paid | {"score": score}, RewardSettings(more=more).card()]))
"""


def gog(python: Path, *args: str) -> str:
    return run([str(python.parent / "gog"), *args], python.parent)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the engine and the plug-in package."""
    python = scratch(tmp_path_factory.mktemp("plugin") / "environment")
    install(python, str(ROOT), str(PLUGIN))
    return python


@pytest.fixture(scope="module")
def exports(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of a run with the tool and the filter, whose text search is the package's over notes of the world."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "notes").mkdir()
    for _, title, text in articles():
        (folder / "notes" / f"{title}.txt").write_text(text, "utf-8")
    config = load_config(lake=str(folder / "lake"), source={"count": 12}, shard_size=12).model_dump(mode="json")
    config["text_search"] = f"{NAMES['text_search']}:{folder / 'notes'}"
    config["episode"]["tools"] = ("text_search", "image_search", "gaze", NAMES["tools"])
    config["filters"] = [NAMES["filters"]]
    (folder / "gog.yaml").write_text(json.dumps(config), "utf-8")  # JSON is YAML
    gog(python, "run", "-c", str(folder / "gog.yaml"))
    target = ("--format", NAMES["export_formats"], "--backbone", NAMES["backbones"])
    gog(python, "export", "sft", "-c", str(folder / "gog.yaml"), *target)
    return folder / "lake" / "runs" / "atlas" / "exports"


def manifest(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return loaded


def test_the_package_has_one_of_each_kind() -> None:
    assert sorted(len(members) for members in POINTS.values()) == [1] * 7


def test_doctor_lists_all_of_it(python: Path, tmp_path: Path) -> None:
    checks = json.loads(gog(python, "doctor", "--demo", "--json", "--lake", str(tmp_path / "lake")))
    listed = [check for check in checks if check["name"] == "plug-ins" and PROJECT["name"] in check["found"]]
    members = ", ".join(f"{group} {NAMES[group]}" for group in sorted(NAMES))
    assert [(check["state"], check["found"]) for check in listed] == [("ok", f"{ORIGIN}: {members}")]


def test_a_run_uses_it_and_its_export_names_it(exports: Path) -> None:
    used = {f"{kind} {NAMES[group]}": ORIGIN for kind, group in (("filter", "filters"), ("tool", "tools"))}
    used[f"text search {NAMES['text_search']}"] = ORIGIN
    assert manifest(exports / "sft")["plugins"] == used
    assert manifest(exports / "rl")["plugins"] == used | {f"reward term {NAMES['rewards']}": ORIGIN}
    assert NAMES["tools"] in manifest(exports / "sft")["episode"]["tools"]
    searched = [one for one in face.open_run(exports.parents[2]).records(Evidence) if one.tool == "text_search"]
    assert searched
    assert all(one.provider.startswith("notes:") for one in searched)
    assert any(hit.url.startswith("notes:") for one in searched for hit in one.hits)


def test_its_format_and_backbone_are_named_by_the_export_that_they_made(exports: Path) -> None:
    made = manifest(exports / f"{NAMES['export_formats']}-{NAMES['backbones']}" / "sft")
    more = {f"export format {NAMES['export_formats']}": ORIGIN, f"backbone {NAMES['backbones']}": ORIGIN}
    assert made["plugins"] == manifest(exports / "sft")["plugins"] | more
    assert made["backbone"]["model_type"] == "acme_vl"
    assert made["splits"]["train"]["rows"] > 0


def test_its_reward_pays_for_answers_and_is_named_by_the_training(python: Path, exports: Path) -> None:
    seed = next(iter(face.open_run(exports.parents[2]).records(Seed)))
    argument = json.dumps([seed.answers[0], seed.model_dump_json(), {NAMES["rewards"]: 0.05}])
    paid, card = json.loads(run([str(python), "-I", "-W", "ignore", "-c", PAY, argument], python.parent))
    assert (paid["accuracy"], paid[NAMES["rewards"]], paid["score"]) == (
        1,
        1,
        pytest.approx(0.9 + 0.1 * paid["format"] + 0.05),
    )
    assert card[NAMES["rewards"]] == {"weight": 0.05, "from": ORIGIN}
