"""`examples/plugin` in a fresh environment: `gog doctor` lists it, a run uses it, and its export names it."""

import json
import tomllib
from pathlib import Path

import pytest
from environments import install, run, scratch

from gog.pipelines.config.config import load_config

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"
PROJECT = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
POINTS: dict[str, dict[str, str]] = PROJECT["entry-points"]
ORIGIN = f"{PROJECT['name']} {PROJECT['version']}"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the engine and the plug-in package."""
    python = scratch(tmp_path_factory.mktemp("plugin") / "environment")
    install(python, str(ROOT), str(PLUGIN))
    return python


def gog(python: Path, *args: str) -> str:
    return run([str(python.parent / "gog"), *args], python.parent)


def test_doctor_lists_all_of_it(python: Path, tmp_path: Path) -> None:
    checks = json.loads(gog(python, "doctor", "--json", "--lake", str(tmp_path / "lake")))
    listed = [check for check in checks if check["name"] == "plug-ins" and PROJECT["name"] in check["found"]]
    members = [f"{group.removeprefix('gog.')} {name}" for group in sorted(POINTS) for name in sorted(POINTS[group])]
    assert [(check["state"], check["found"]) for check in listed] == [("ok", f"{ORIGIN}: {', '.join(members)}")]


def test_the_reward_pays_by_its_term(python: Path) -> None:
    (name,) = POINTS["gog.rewards"]
    code = f"from gog_train.rewards.terms import RewardSettings; print(RewardSettings(more={{{name!r}: None}}).card())"
    assert ORIGIN in run([str(python), "-I", "-W", "ignore", "-c", code], python.parent)


def test_a_run_uses_it_and_its_export_names_it(python: Path, tmp_path: Path) -> None:
    (tool,) = POINTS["gog.tools"]
    tools = ("text_search", "image_search", "gaze", tool)
    config = load_config(lake=str(tmp_path / "lake"), source={"count": 12}, shard_size=12).model_dump(mode="json")
    config["episode"]["tools"] = tools  # which this environment does not have
    path = tmp_path / "gog.yaml"
    path.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    gog(python, "run", "-c", str(path))
    manifest = json.loads((tmp_path / "lake/runs/atlas/exports/sft/manifest.json").read_bytes())
    assert manifest["plugins"] == {f"tool {tool}": ORIGIN}
    assert tool in manifest["episode"]["tools"]
