"""What a training leaves behind: the adapter or a merged model, each with all that serves it, and the run card.

torch, peft and transformers are imported inside of the functions.
"""

import json
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from gog.transforms.dialect.backbones import Backbone, Template
from gog.transforms.services.models.checkpoint import NOTES
from gog_train.settings import TrainingError

CARD: Final = "run.json"

PACKAGES: Final = ("glance-or-gaze", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")

LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` of vLLM may be."""

Save = Literal["adapter", "merged", "both"]


def save(
    model: Any, processor: Any, template: Template, backbone: Backbone, output: Path, what: Save
) -> dict[str, Path]:
    """Write `output/adapter` and `output/merged`, as wanted; returns their folders, by their whole paths.

    vLLM takes no adapter on the vision tower or, as PEFT writes it, on experts: such a one has no command to serve it.

    Of a model that has no adapter, all of it is written, as `output/model`, whatever `what` is. Merging takes the
    adapter out of a PEFT model, which is of no use afterwards.
    """
    output = output.resolve()
    if not hasattr(model, "peft_config"):
        return {"model": _saved(model, processor, template, backbone, output / "model")}
    folders = {}
    if what != "merged":
        folders["adapter"] = _saved(model, processor, template, backbone, output / "adapter")
    if what != "adapter":
        whole = model.merge_and_unload()
        folders["merged"] = _saved(whole, processor, template, backbone, output / "merged")
    return folders


def _saved(model: Any, processor: Any, template: Template, backbone: Backbone, folder: Path) -> Path:
    """The folder with the model and all that serves it."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    note(model, folder, template, backbone)
    return folder


def note(model: Any, folder: Path, template: Template, backbone: Backbone) -> None:
    """Write beside a saved model, or adapter, what serves it."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        write_notes(folder, template, backbone)
        return
    lora = model.peft_config["default"]
    adapted = [name for name, _ in model.named_parameters() if "lora_" in name]
    sees = bool(backbone.vision) and any(re.match(backbone.vision, name) for name in adapted)
    on_base = (str(lora.base_model_name_or_path), int(lora.r))
    write_notes(folder, template, backbone, on_base, served=not (sees or lora.target_parameters))


def write_notes(
    folder: Path, template: Template, backbone: Backbone, on_base: tuple[str, int] | None = None, *, served: bool = True
) -> list[str]:
    """Write chat template and notes beside a model; returns the command that serves it, empty where nothing does."""
    (folder / "chat_template.jinja").write_text(template.text, "utf-8")
    serve = serve_command(folder, template, backbone, on_base) if served else []
    notes = {
        "backbone": backbone.name,
        "thinking": template.thinking,
        "factor": backbone.factor,
        "min_pixels": backbone.min_pixels,
        "max_pixels": backbone.max_pixels,
        "serve": serve or None,
    }
    _write(folder / NOTES, notes)
    return serve


def serve_command(folder: Path, template: Template, backbone: Backbone, on_base: tuple[str, int] | None) -> list[str]:
    """How vLLM serves a saved folder; `on_base` is the model that an adapter belongs to, and the adapter's rank."""
    model, adapter = str(folder), []
    if on_base:
        model, rank = on_base
        room = next((most for most in LORA_RANKS if rank <= most), rank)
        adapter = ["--enable-lora", "--max-lora-rank", str(room), "--lora-modules", f"gog={folder}"]
    return [
        *("vllm", "serve", model, *adapter),
        *("--chat-template", str(folder / "chat_template.jinja"), *template.vllm_flags),
        *("--mm-processor-kwargs", json.dumps(backbone.image_settings)),
    ]


def read_notes(model: str) -> dict[str, Any] | None:
    """What was noted beside a model that this project trained, or None."""
    path = Path(model) / NOTES
    if not path.is_file():
        return None
    try:
        notes = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    if not isinstance(notes, dict):
        raise TrainingError(f"{path} is not what a training writes: remove it")
    return notes


def check_notes(model: str, template: Template) -> None:
    """Raise `TrainingError` where a model of ours was trained with thinking the other way."""
    notes = read_notes(model)
    if notes and notes.get("thinking") is not template.thinking:
        thinking = str(notes.get("thinking")).lower()
        raise TrainingError(f"{model} was trained with thinking: {thinking}; set `thinking: {thinking}`")


def last_checkpoint(output: Path) -> Path | None:
    """The checkpoint of most steps in a folder."""
    checkpoints = [path for path in output.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return max(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def resumed(output: Path, resume: str) -> str | None:
    """The checkpoint to go on from, or None for a fresh start. Raises `TrainingError`.

    A fresh start into a folder that has checkpoints is refused: it would mix two runs.
    """
    last = last_checkpoint(output)
    if not resume:
        if last:
            raise TrainingError(f"{output} has {last.name}: --resume goes on from it, another --output starts anew")
        return None
    if resume == "last":
        if last is None:
            raise TrainingError(f"{output} has no checkpoint to resume from: leave --resume out")
        return str(last)
    if not (Path(resume) / "trainer_state.json").is_file():
        raise TrainingError(f"{resume} is no checkpoint: it has no trainer_state.json")
    return resume


def write_card(output: Path, card: Mapping[str, Any]) -> Path:
    """The run card: what was trained, on what, with what; the caller's part and the versions of everything."""
    _write(output / CARD, {**card, "versions": versions(), "device": device(), "git": git_revision()})
    return output / CARD


def versions() -> dict[str, str]:
    """Python and the packages that decide what training does."""
    installed = {package: version_of(package) for package in PACKAGES}
    return {"python": platform.python_version()} | {name: number for name, number in installed.items() if number}


def version_of(package: str) -> str | None:
    """The version that is installed, if any."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def device() -> dict[str, Any]:
    """Name of the device and the most memory that was taken on it, in bytes."""
    import torch

    if not torch.cuda.is_available():
        return {"name": platform.processor() or platform.machine()}
    return {"name": torch.cuda.get_device_name(), "peak_memory": torch.cuda.max_memory_allocated()}


def git_revision() -> str | None:
    """Commit of the source that runs, where it runs from a clone."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
