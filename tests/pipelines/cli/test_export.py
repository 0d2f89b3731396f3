"""`gog export`: again after a change, for trainers, and to the hub."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import yaml
from calling import Gog, Place, contents
from datasets import load_dataset
from hub_stand_in import Hub


def test_the_export_again_after_a_change_of_its_settings(gog: Gog, copied: Place) -> None:
    copied.config.write_text(copied.config.read_text().replace("max_tokens: 16000", "max_tokens: 256"))
    before = contents(copied.run)
    refused = gog("export", "sft", "-c", copied.config)
    assert refused.code == 1
    assert "rows and this export would have 0 (export.too_long " in refused.error
    assert "--replace does it, --out FOLDER writes it elsewhere" in refused.error
    assert contents(copied.run) == before
    assert json.loads((copied.run / "manifest.json").read_text())["state"] == "done"
    done = gog("export", "sft", "-c", copied.config, "--replace")
    assert done.code == 1
    assert "export.too_long" in done.out
    assert "nothing was exported: export.too_long took" in done.error
    assert not list((copied.run / "exports" / "sft").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["sft", "--format", "trl"], "or qwen2.5-vl or qwen3.5 or"),
        (["sft", "--backbone", "qwen3-vl"], "for a backbone use --format trl"),
        (["sft", "--format", "verl", "--backbone", "qwen3-vl"], "use llama-factory, ms-swift, parquet, trl"),
        (["rl", "--format", "llama-factory", "--backbone", "qwen3-vl"], "use ms-swift, parquet, trl, verl"),
        (["rl", "--format", "verl", "--backbone", "qwen3.5"], "use --format trl"),
        (["sft", "--format", "axolotl", "--backbone", "qwen3-vl"], "axolotl"),
        (["dpo"], "there are two exports: sft and rl"),
    ],
)
def test_an_export_that_there_is_not(gog: Gog, copied: Place, options: list[str], told: str) -> None:
    done = gog("export", *options, "-c", copied.config)
    assert done.code == 2
    assert told in " ".join(done.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "what"),
    [(["--format", "verl", "--backbone", "qwen3-vl"], "verl"), (["--out", "elsewhere"], "--out")],
)
def test_what_workers_do_not_write(gog: Gog, copied: Place, options: list[str], what: str) -> None:
    done = gog("export", "rl", "-c", copied.config, *options, "--", "--runner=FnApiRunner")
    assert done.code == 2
    assert f"{what} is written by this process alone" in done.error


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_workers_write_the_same_bytes(gog: Gog, copied: Place) -> None:
    settings = yaml.safe_load(copied.config.read_text()) | {"export": {"rows_per_file": 1}}
    copied.config.write_text(yaml.safe_dump(settings))
    shown = "export", "rl", "-c", copied.config, "--format", "trl", "--backbone", "qwen3-vl"
    assert gog(*shown).code == 0
    folders = [copied.run / "exports" / name for name in ("rl", "trl-qwen3-vl/rl")]
    here = [files_in(folder) for folder in folders]
    for folder in folders:
        shutil.rmtree(folder)
    assert gog(*shown, "--", "--runner=FnApiRunner").code == 0
    assert [files_in(folder) for folder in folders] == here
    assert len([name for name in here[0] if name.startswith("data/")]) > 1


def test_an_export_for_a_trainer_stands_beside_the_runs_own(gog: Gog, copied: Place, finished: Place) -> None:
    done = gog("export", "sft", "-c", copied.config, "--format", "trl", "--backbone", "qwen2.5-vl")
    assert done.code == 0, done.err
    folder = copied.run / "exports" / "trl-qwen2.5-vl" / "sft"
    assert str(folder) in done.out
    manifest = json.loads((folder / "manifest.json").read_text())
    own = json.loads((copied.run / "exports" / "sft" / "manifest.json").read_text())
    rows = [sum(split["rows"] for split in one["splits"].values()) for one in (manifest, own)]
    assert rows[0] + sum(manifest["rejected"].values()) == rows[1] + sum(own["rejected"].values())
    shutil.rmtree(folder.parent)
    assert contents(copied.run) == contents(finished.run)


@pytest.mark.parametrize("thinking", [True, False])
def test_every_format_has_a_switch_for_thinking(gog: Gog, copied: Place, thinking: bool) -> None:
    switch = [] if thinking else ["--no-thinking"]
    for kind, form in (("sft", "trl"), ("sft", "llama-factory"), ("sft", "ms-swift"), ("rl", "verl")):
        assert gog("export", kind, "-c", copied.config, "--format", form, "--backbone", "qwen3-vl", *switch).code == 0
        folder = copied.run / "exports" / f"{form}-qwen3-vl" / kind
        assert json.loads((folder / "manifest.json").read_text())["backbone"]["thinking"] is thinking
        if form in ("llama-factory", "ms-swift"):
            assert ("<think>" in (folder / "train.jsonl").read_text()) is thinking
        if form == "llama-factory":
            recipe = (folder / "sft.yaml").read_text()
            assert f"template: {'qwen3_vl' if thinking else 'qwen3_vl_nothink'}\n" in recipe
            assert f"enable_thinking: {str(thinking).lower()}\n" in recipe
        if form == "verl":
            assert f"set thinking = {str(thinking).lower()} " in (folder / "chat_template.jinja").read_text()
    assert gog("export", "sft", "-c", copied.config, "--no-thinking").code == 2


def test_both_kinds_in_one_dataset(gog: Gog, copied: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path / "hub")
    hub.put("notes.md", "mine")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    for kind in ("sft", "rl", "sft"):
        done = gog("export", kind, "-c", copied.config, "--push", "me/fvqa")
        assert done.code == 0, done.err
        assert "uploaded to https://huggingface.co/datasets/me/fvqa" in done.out
    assert "replaces" in done.out
    assert "removes" not in done.out
    assert hub.files()["notes.md"] == b"mine"
    for kind in ("sft", "rl"):
        data = load_dataset(str(hub.folder), kind, cache_dir=str(tmp_path / "cache"))
        exported = json.loads((copied.run / "exports" / kind / "manifest.json").read_text())["splits"]
        assert {split: rows.num_rows for split, rows in data.items()} == {
            split: part["rows"] for split, part in exported.items() if part["rows"]
        }
        assert contents(hub.folder / kind) == contents(copied.run / "exports" / kind)


def test_an_export_elsewhere_leaves_the_runs_own(gog: Gog, copied: Place, tmp_path: Path) -> None:
    before, out = contents(copied.run), tmp_path / "out"
    done = gog("export", "sft", "-c", copied.config, "--out", out)
    assert done.code == 0, done.err
    assert (out / "manifest.json").exists()
    assert list(out.rglob("*.parquet"))
    assert contents(copied.run) == before
    copied.config.write_text(copied.config.read_text().replace("max_tokens: 16000", "max_tokens: 256"))
    assert "nothing was replaced" in gog("export", "sft", "-c", copied.config, "--out", out).error
    assert list(out.rglob("*.parquet"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    refused = gog("export", "sft", "-c", copied.config, "--out", tmp_path / "mine", "--replace")
    assert (refused.code, "holds no export" in refused.error) == (2, True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "mine"
