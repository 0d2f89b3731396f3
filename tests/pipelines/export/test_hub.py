"""`--push` against a stand-in of the hub: what is added, replaced and left, and what is said when it cannot be."""

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from datasets import load_dataset
from hub_stand_in import Hub
from huggingface_hub import errors

from gog.pipelines.export.hub import push_export
from gog.pipelines.lake.lake import LakeError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    return made


def exported(folder: Path, kind: str, files: dict[str, str]) -> Path:
    """An export's folder with JSONL splits, by name, as the engine leaves it."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    data = [{"split": name.removesuffix(".jsonl"), "path": name} for name in files]
    matter = {"license": "mit", "tags": [kind], "configs": [{"config_name": "default", "data_files": data}]}
    (folder / "README.md").write_text(f"---\n{json.dumps(matter)}\n---\n\n# {kind}\n")
    hashed = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    splits = {name: {"files": [{"name": name, "sha256": hashed.pop(name)}]} for name in files}
    (folder / "manifest.json").write_text(json.dumps({"kind": kind, "splits": splits, "other_files": hashed}))
    return folder


@pytest.fixture
def sft(tmp_path: Path) -> Path:
    return exported(tmp_path / "exports" / "trl-qwen3-vl" / "sft", "sft", {"train.jsonl": '{"messages": "m"}\n'})


@pytest.fixture
def rl(tmp_path: Path) -> Path:
    files = {"train.jsonl": '{"prompt": "p", "level": 1}\n', "validation.jsonl": '{"prompt": "q", "level": 2}\n'}
    return exported(tmp_path / "exports" / "rl", "rl", files)


def quiet(told: str) -> None:
    """For those who need not hear it."""


def test_the_folder_goes_to_its_place_in_a_private_dataset(hub: Hub, sft: Path) -> None:
    (sft / ".spill").mkdir()
    (sft / ".spill" / "x").write_text("x")
    assert push_export(sft, "me/fvqa", quiet) == "https://huggingface.co/datasets/me/fvqa"
    assert hub.made == {"repo": "me/fvqa", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert hub.files().keys() == {"README.md", "sft/README.md", "sft/manifest.json", "sft/train.jsonl"}
    (commit,) = hub.commits
    assert (commit["repo"], commit["repo_type"], commit["parent_commit"]) == ("me/fvqa", "dataset", "me/fvqa@0")
    assert "trl-qwen3-vl/sft" in commit["commit_message"]


def test_what_is_added_replaced_and_removed_is_said_before(hub: Hub, sft: Path) -> None:
    hub.put(".gitattributes", "*.jsonl filter=lfs")
    push_export(sft, "me/fvqa", quiet)
    (sft / "train.jsonl").rename(sft / "train-0.jsonl")
    told: list[str] = []

    def tell(text: str) -> None:
        assert len(hub.commits) == 1
        told.append(text)

    push_export(sft, "me/fvqa", tell)
    assert told == [
        "me/fvqa:\n  adds 1: sft/train-0.jsonl\n  replaces 3: README.md, sft/README.md, sft/manifest.json\n"
        "  removes, of the push before 1: sft/train.jsonl\n  leaves 1 as they are"
    ]
    assert "sft/train.jsonl" not in hub.files()


def test_rl_beside_sft_loads_by_config(hub: Hub, sft: Path, rl: Path, tmp_path: Path) -> None:
    for folder in (sft, rl, sft):
        push_export(folder, "me/fvqa", quiet)
    cache = str(tmp_path / "cache")
    assert load_dataset(str(hub.folder), "sft", cache_dir=cache)["train"][0] == {"messages": "m"}
    both = load_dataset(str(hub.folder), "rl", cache_dir=cache)
    assert {split: rows[0]["level"] for split, rows in both.items()} == {"train": 1, "validation": 2}


def test_nothing_of_others_goes(hub: Hub, sft: Path, rl: Path) -> None:
    mine = {"notes.md": "mine", "data/mine.csv": "a,b", "sft/thoughts.txt": "mine", ".gitattributes": "x"}
    for path, text in mine.items():
        hub.put(path, text)
    push_export(rl, "me/fvqa", quiet)
    push_export(sft, "me/fvqa", quiet)
    before = hub.files()
    push_export(sft, "me/fvqa", quiet)
    assert hub.files() == before
    assert {path: before[path].decode() for path in mine} == mine


def test_a_file_of_others_in_the_way_stops_it(hub: Hub, sft: Path) -> None:
    hub.put("sft/train.jsonl", "mine")
    before = hub.files()
    with pytest.raises(LakeError, match=r"has sft/train\.jsonl, which no push of sft wrote"):
        push_export(sft, "me/fvqa", quiet)
    assert (hub.files(), hub.commits) == (before, [])


@pytest.mark.parametrize(
    "names", [["../notes.md", "/notes.md", "../rl/train.jsonl"], "notes.md", [["x"]], None, {"x": {}}]
)
def test_a_hostile_manifest_removes_nothing_else(hub: Hub, sft: Path, rl: Path, names: Any) -> None:
    push_export(rl, "me/fvqa", quiet)
    hub.put("notes.md", "mine")
    others = dict.fromkeys(names, "") if isinstance(names, list) and isinstance(names[0], str) else names
    hub.put("sft/manifest.json", json.dumps({"kind": "sft", "splits": {}, "other_files": others}))
    before = hub.files()
    told = list[str]()
    with suppress(LakeError):
        push_export(sft, "me/fvqa", told.append)
    assert all("removes" not in text for text in told)
    assert before.keys() <= hub.files().keys()
    assert hub.files()["notes.md"] == b"mine"


@pytest.mark.parametrize("first", [True, False])
def test_a_card_of_ones_own_stays(hub: Hub, sft: Path, first: bool) -> None:
    if not first:
        push_export(sft, "me/fvqa", quiet)
    hub.put("README.md", (hub.files().get("README.md", b"").decode() or "mine") + "\nand my words")
    before, told = hub.files()["README.md"], list[str]()
    push_export(sft, "me/fvqa", told.append)
    assert hub.files()["README.md"] == before
    assert "README.md has been changed by hand and stays" in told[0]


def test_an_export_at_the_root_moves_into_its_folder(hub: Hub, sft: Path, rl: Path) -> None:
    for path in rl.iterdir():
        hub.put(path.name, path.read_text())
    hub.put("mine.txt", "mine")
    push_export(sft, "me/fvqa", quiet)
    assert {"train.jsonl", "manifest.json"} <= hub.files().keys()
    push_export(rl, "me/fvqa", quiet)
    assert {path for path in hub.files() if "/" not in path} == {"README.md", "mine.txt"}
    assert "config_name: rl" in hub.files()["README.md"].decode()
    assert "config_name: sft" in hub.files()["README.md"].decode()


def refused(status: int) -> Exception:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=SimpleNamespace(method="POST", url="x"))
    return errors.HfHubHTTPError("no", response=response)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (errors.LocalTokenNotFoundError("no token"), "hf auth login"),
        (errors.HFValidationError("bad"), "write OWNER/NAME"),
        (refused(403), "may not write there"),
        (refused(412), "push again"),
        (refused(500), "the hub answered 500"),
        (OSError("no route"), "cannot be reached"),
        (errors.HTTPError("no route"), "cannot be reached"),  # type: ignore[attr-defined]
    ],
)
def test_what_goes_wrong_is_one_line(hub: Hub, sft: Path, failure: Exception, told: str) -> None:
    hub.failure = failure
    with pytest.raises(LakeError, match=told) as caught:
        push_export(sft, "me/fvqa", quiet)
    assert "\n" not in str(caught.value)
    assert (hub.files(), hub.commits) == ({}, [])
