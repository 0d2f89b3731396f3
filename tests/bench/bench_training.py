"""Speed and memory of training: `python tests/bench/bench_training.py [--tiny] [--backbone NAME]`.

20 steps of SFT and 5 of GRPO of a model with the architecture of Qwen-VL, about 100 million random weights and a small
tokenizer, on exports of the bundled world; every stage in a process of its own. Prints a line of JSON a stage: the
device's name, tokens a second, the peak of its memory, and what `gog_train.check` would have estimated. What it says
of speed holds for this size alone; that it runs, and what it takes, is the point. `--tiny` proves on a CPU that it
works.

Random weights say nothing: rollouts run to `turn_tokens`, are masked, and nothing is learned.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import tiny_models
from runs import atlas
from training import module_of, small, trl_export

from gog.transforms.dialect.backbones import BACKBONES

Json = dict[str, Any]
STAGES = ("sft", "grpo")


@dataclass(frozen=True)
class Size:
    """How much is trained."""

    text: Mapping[str, int]
    vision: Mapping[str, int]
    seeds: int
    sft: Mapping[str, object]
    grpo: Mapping[str, object]


LARGE = Size(
    {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 14, "num_attention_heads": 12,
     "num_key_value_heads": 4},
    {"depth": 8, "hidden_size": 384, "intermediate_size": 1024, "num_heads": 6, "out_hidden_size": 768},
    seeds=120,
    sft={"max_steps": 20, "batch_size": 8, "max_length": 16384},
    grpo={"max_steps": 5, "questions": 8, "max_tokens": 2048, "turn_tokens": 256, "context": 8192},
)  # fmt: skip
TINY = Size(
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
     "num_key_value_heads": 2},
    {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64},
    seeds=24,
    sft={"max_steps": 2, "batch_size": 2, "max_length": 4096, "workers": 0},
    grpo={"max_steps": 1, "questions": 2, "rollouts": 2, "max_tokens": 64, "turn_tokens": 8, "context": 4096},
)  # fmt: skip


def prepare(folder: Path, size: Size, name: str) -> None:
    """A finished run of the bundled world, its exports, and the model."""
    from gog.pipelines.connect.services import close_stores
    from gog.pipelines.steps.run import run

    config = atlas(folder / "lake", run="bench", count=size.seeds, shard_size=size.seeds)
    run(config)
    close_stores()
    for kind in ("sft", "rl"):
        trl_export(config, kind, BACKBONES[name], folder)
    save_model(folder / "model", size, name)


def save_model(folder: Path, size: Size, name: str) -> None:
    """Random weights in the architecture of the family, with tokenizer and processor."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    tiny_models.checkpoint(name, folder)
    config = AutoConfig.from_pretrained(folder)
    for part, values in ((config.text_config, size.text), (config.vision_config, size.vision)):
        for key, value in values.items():
            setattr(part, key, value)
    if hasattr(config.text_config, "layer_types"):
        config.text_config.layer_types = ["full_attention"] * size.text["num_hidden_layers"]
    head = size.text["hidden_size"] // size.text["num_attention_heads"]
    half = head // 2
    config.text_config.head_dim = head
    config.text_config.rope_parameters["mrope_section"] = [half - 2 * (half // 3), half // 3, half // 3]
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)


def measure(folder: Path, size: Size, name: str, stage: str) -> Json:
    """Train in this process."""
    import torch

    from gog_train import grpo, sft
    from gog_train.grpo_settings import GrpoSettings
    from gog_train.memory import memory_of, shape_of

    tiny_models.register()
    export = folder / "copy" / "runs" / "run" / "exports" / f"trl-{name}" / ("sft" if stage == "sft" else "rl")
    common = {"model": str(folder / "model"), "export": str(export), "output": str(folder / stage), "log_every": 1}
    settings: sft.SftSettings | GrpoSettings
    if stage == "sft":
        settings = sft.SftSettings.model_validate(common | dict(size.sft) | {"evaluate": False})
        trained: Any = sft.train(settings)
    else:
        settings = GrpoSettings.model_validate(common | dict(size.grpo) | {"levels": (1, 2), "unsettled": "zero"})
        trained = grpo.train(settings)
    gpu = torch.cuda.is_available()
    memory = torch.cuda.get_device_properties(0).total_memory if gpu else None
    peak = torch.cuda.max_memory_allocated() if gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    metrics, shape = trained.metrics, shape_of(settings)
    seconds = metrics["train_runtime"]
    return {
        "stage": stage,
        "backbone": name,
        "device": torch.cuda.get_device_name() if gpu else "CPU",
        "parameters": shape.parameters,
        "steps": trained.steps,
        "tokens": metrics["num_tokens"],
        "seconds": seconds,
        "tokens_per_second": round(metrics["num_tokens"] / seconds, 1),
        "peak_bytes": peak,
        "estimated_bytes": memory_of(shape, settings, 1, memory).total,
    }


def bench(folder: Path, options: Sequence[str]) -> list[Json]:
    """Each stage in a fresh process, so that the peaks are its own."""
    found = []
    for stage in STAGES:
        command = [sys.executable, __file__, *options, "--folder", str(folder), "--stage", stage]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main(arguments: Sequence[str] | None = None) -> list[Json]:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--backbone", type=str, choices=list(BACKBONES), default="qwen2.5-vl")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    size, name = TINY if options.tiny else LARGE, options.backbone
    if options.tiny:
        module, attribute = module_of(name).rsplit(".", 1)
        setattr(import_module(module), attribute, small(name))
    if options.stage:
        found = [measure(options.folder, size, name, options.stage)]
    else:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), size, name)
            found = bench(Path(folder), [*(["--tiny"] * options.tiny), "--backbone", name])
    for line in found:
        print(json.dumps(line), flush=True)
    return found


if __name__ == "__main__":
    main()
