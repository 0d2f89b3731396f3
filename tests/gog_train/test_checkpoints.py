"""Checkpoints to go on from, notes beside weights, the run card."""

import json
import shlex
from pathlib import Path

import pytest

from gog.transforms.dialect.backbones import BACKBONES
from gog.transforms.services.models.checkpoint import NOTES
from gog_train.checkpoints import (
    check_notes,
    last_checkpoint,
    read_notes,
    resumed,
    serve_command,
    versions,
    write_card,
)
from gog_train.settings import TrainingError


def checkpoint(output: Path, step: int, whole: bool = True) -> Path:
    folder = output / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if whole:
        (folder / "trainer_state.json").write_text("{}")
    return folder


def test_the_last_whole_checkpoint_is_gone_on_from(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 9)
    last = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 11, whole=False)
    (tmp_path / "checkpoint-old").mkdir()
    assert last_checkpoint(tmp_path) == last
    assert resumed(tmp_path, "last") == str(last)
    assert resumed(tmp_path, str(tmp_path / "checkpoint-9")) == str(tmp_path / "checkpoint-9")


def test_a_fresh_start_over_checkpoints_is_refused(tmp_path: Path) -> None:
    assert resumed(tmp_path, "") is None
    checkpoint(tmp_path, 3)
    with pytest.raises(TrainingError, match="has checkpoint-3: --resume goes on from it, another --output"):
        resumed(tmp_path, "")
    with pytest.raises(TrainingError, match=r"is no checkpoint: it has no trainer_state\.json"):
        resumed(tmp_path, str(checkpoint(tmp_path, 4, whole=False)))


def test_notes_say_how_it_thought(tmp_path: Path) -> None:
    thinks, plain = (BACKBONES["qwen3-vl"].template(thinking=thinking) for thinking in (True, False))
    check_notes("Qwen/Qwen3-VL-8B-Thinking", thinks)
    assert read_notes(str(tmp_path)) is None
    (tmp_path / NOTES).write_text(json.dumps({"thinking": False}))
    check_notes(str(tmp_path), plain)
    with pytest.raises(TrainingError, match="was trained with thinking: false; set `thinking: false`"):
        check_notes(str(tmp_path), thinks)
    for text in ("[", "[]"):
        (tmp_path / NOTES).write_text(text)
        with pytest.raises(TrainingError, match=r"gog\.json"):
            check_notes(str(tmp_path), thinks)


def test_an_adapter_is_served_on_its_base(backbone: str) -> None:
    form, exported = BACKBONES[backbone].template(thinking=True), BACKBONES[backbone]
    merged = serve_command(Path("m"), form, exported, None)
    adapter = serve_command(Path("a"), form, exported, ("base", 24))
    assert merged[:3] == ["vllm", "serve", "m"]
    assert shlex.join(adapter[:8]) == "vllm serve base --enable-lora --max-lora-rank 32 --lora-modules gog=a"
    for command, folder in ((merged, "m"), (adapter, "a")):
        assert command[command.index("--chat-template") + 1] == f"{folder}/chat_template.jinja"
        pixels = json.loads(command[command.index("--mm-processor-kwargs") + 1])["size"]
        assert pixels == {"shortest_edge": exported.min_pixels, "longest_edge": exported.max_pixels}
        assert set(form.vllm_flags) <= set(command)


def test_the_card_has_what_it_was_made_with(tmp_path: Path) -> None:
    card = json.loads(write_card(tmp_path / "new", {"stage": "sft"}).read_text())
    assert card["stage"] == "sft"
    assert card["versions"] == versions()
    assert {"python", "torch", "transformers", "trl", "peft"} <= set(card["versions"])
    assert card["device"]["name"]
