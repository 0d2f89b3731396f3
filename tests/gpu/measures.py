"""What `first_hour.py` measures, in the environment that trains: `python measures.py [--quick] FOLDER SIZE PART...`.

FOLDER has the exports of a small run and takes the model. Each part appends its figures as JSON to FOLDER/figures.jsonl
as soon as it has ended, so that a part that dies loses no other's. Without a part: what device there is, as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import tiny_models
from gpu.sizes import BACKBONE, SIZES, Size, checkpoint

from gog.transforms.dialect.backbones import BACKBONES, Backbone
from gog_train.rewards.terms import Finished, Term

SAMPLED: Final = 64
"""Tokens of a sampled reply."""


@dataclass(frozen=True)
class Figure:
    """A line of the table. `fine` is None where nothing is wanted."""

    size: str
    part: str
    what: str
    found: str
    wanted: str = ""
    fine: bool | None = None


@dataclass(frozen=True)
class Place:
    """Where a part is measured, and at which size."""

    folder: Path
    name: str
    size: Size
    quick: bool

    @property
    def gpu(self) -> bool:
        import torch

        return bool(torch.cuda.is_available())

    @property
    def backbone(self) -> Backbone:
        """On a CPU pictures are small."""
        return budget(self.gpu)

    def export(self, kind: str) -> Path:
        return self.folder / "copy" / "runs" / "run" / "exports" / f"trl-{BACKBONE}" / kind

    def settings(self, output: str) -> dict[str, Any]:
        """What both stages are set to."""
        model, out = self.folder / self.name, self.folder / "out" / f"{self.name}-{output}"
        rate = {"learning_rate": self.size.learning_rate}
        return {"model": str(model), "output": str(out), "log_every": 1, "save_every": 1000, **rate}

    def figure(self, part: str, what: str, found: str, wanted: str = "", fine: bool | None = None) -> Figure:
        return Figure(self.name, part, what, found, wanted, fine)


def budget(gpu: bool) -> Backbone:
    """The family with its own budget of pixels, or on a CPU with 4 to 48 tokens an image."""
    backbone = BACKBONES[BACKBONE]
    if gpu:
        return backbone
    return replace(backbone, min_pixels=4 * backbone.factor**2, max_pixels=48 * backbone.factor**2)


def _by_length(rollout: Finished) -> float:
    return float(len("".join(rollout.turns)) % 2)


BY_CHANCE: Final = Term("by_chance", _by_length)
"""Random weights answer nothing: this pays rollouts of a group differently, so that there is a gradient."""


def sft(place: Place) -> Iterator[Figure]:
    """Supervised fine-tuning as a user starts it."""
    from gog_train.sft import SftSettings, train

    steps = 3 if place.quick else 20
    more = {"batch_size": place.size.batch, "max_steps": steps, "evaluate": False, "workers": 0, "warmup": 0.0}
    settings = SftSettings.model_validate(place.settings("sft") | more | {"export": place.export("sft")})
    _forget(place)
    trained = train(settings)
    losses = curve(settings.output, "loss")
    share = max(1, steps // 4)
    first, last = sum(losses[:share]) / share, sum(losses[-share:]) / share
    yield place.figure("sft", f"loss, {steps} steps", f"{first:.3f} to {last:.3f}", "falls", last < first)
    yield place.figure("sft", "tokens a second", f"{trained.metrics['tokens_per_second']:,.0f}")
    yield from _memory(place, "sft", settings.model_copy(update={"max_length": _longest(place)}))


def plain(place: Place) -> Iterator[Figure]:
    """TRL's own trainer on the same rows, as its documentation has it."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    from gog_train.data import as_messages
    from gog_train.processors import fit, load_model, load_processor
    from gog_train.sft import SftSettings
    from gog_train.stages import adapter

    steps = 3 if place.quick else 20
    settings = SftSettings.model_validate(place.settings("plain") | {"export": place.export("sft")})
    processor = load_processor(settings.model)
    fit(processor, place.backbone.template(thinking=True), place.backbone)
    arguments = SFTConfig(
        output_dir=str(settings.output),
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=place.size.batch,
        learning_rate=settings.rate,
        bf16=place.gpu,
        use_cpu=not place.gpu,
        gradient_checkpointing=place.gpu,
        dataloader_pin_memory=place.gpu,
        assistant_only_loss=True,
        max_length=None,
        eos_token=place.backbone.end_of_turn,
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=load_model(settings.model, dtype="bfloat16" if place.gpu else "float32"),
        args=arguments,
        train_dataset=load_dataset("parquet", data_dir=str(place.export("sft") / "data"), split="train").with_transform(
            as_messages
        ),
        processing_class=processor,
        peft_config=adapter(settings, place.backbone),
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    theirs = trainer.state.log_history[-2]["num_tokens"] / seconds
    ours = json.loads((place.folder / "out" / f"{place.name}-sft" / "run.json").read_text())["metrics"]
    ratio = ours["tokens_per_second"] / theirs
    yield place.figure("plain", "tokens a second of TRL's plain script", f"{theirs:,.0f}")
    # A CPU does other work beside, and few steps say little.
    counts = place.gpu and not place.quick
    wanted, fine = ("over 0.8", ratio > 0.8) if counts else ("", None)
    yield place.figure("plain", "gog_train's by TRL's", f"{ratio:.2f}", wanted, fine)


def grpo(place: Place, part: str = "grpo", **more: Any) -> Iterator[Figure]:
    """Reinforcement learning, with rollouts by transformers' generation unless `more` says otherwise."""
    from gog_train.grpo import train
    from gog_train.grpo_settings import GrpoSettings

    values: dict[str, Any] = {
        **place.settings(part),
        **place.size.grpo,
        "learning_rate": place.size.learning_rate / 10,
        "export": place.export("rl"),
        "max_steps": 2 if place.quick else 5,
        "levels": (1, 2),
        "thinking": False,  # of random text in a thought that never ends nothing is left to be paid for
        "unsettled": "zero",
        "resample": 0,
        "rewards": {"gpu.measures:BY_CHANCE": 1.0},
    }
    settings = GrpoSettings.model_validate(values | more)
    _forget(place)
    trained = train(settings)
    found = trained.metrics
    norm, turns = (max(curve(settings.output, name)) for name in ("grad_norm", "turns"))
    yield place.figure(part, f"gradient's norm, {trained.steps} steps", f"{norm:.2g}", "more than 0", norm > 0)
    yield place.figure(part, "turns a rollout, on average", f"{turns:.1f}", "more than 1", turns > 1)
    speed = curve(settings.output, "tokens_per_second")
    yield place.figure(part, "tokens a second", f"{sum(speed) / len(speed):,.0f}")
    if settings.vllm != "off":
        most, mean = (found[f"sampling/sampling_logp_difference/{which}"] for which in ("max", "mean"))
        single = settings.precision == "fp32"
        fine = (most < 1e-4) if single else (mean < 0.05)
        wanted = "at most under 1e-4" if single else "on average under 0.05"
        what = "log-probabilities of vLLM and trainer apart, most and mean"
        yield place.figure(part, what, f"{most:.1g}, {mean:.1g}", wanted, fine)
    yield from _memory(place, part, settings)


def vllm(place: Place) -> Iterator[Figure]:
    """The same with a colocated vLLM, in bf16 where the GPU has it."""
    yield from grpo(place, "vllm", vllm="colocate")


def vllm_single(place: Place) -> Iterator[Figure]:
    """The same in single precision: what differs then is no rounding of bf16."""
    yield from grpo(place, "vllm-single", vllm="colocate", precision="fp32")


def precision(place: Place) -> Iterator[Figure]:
    """What is sampled against what is scored, and the loss, in single precision and in bf16."""
    import torch

    from gog_train.collator import EpisodeCollator
    from gog_train.processors import fit, load_model, load_processor

    processor = load_processor(str(place.folder / place.name))
    fit(processor, place.backbone.template(thinking=True), place.backbone)
    rows, collate = _rows(place)[: 2 if place.quick else 8], EpisodeCollator(processor)
    losses = {}
    for kind in ("float32", "bfloat16"):
        device = "cuda" if place.gpu else "cpu"
        model = load_model(str(place.folder / place.name), dtype=kind).to(device).eval()
        with torch.inference_mode():
            batches = [{key: value.to(device) for key, value in collate([row]).items()} for row in rows]
            losses[kind] = sum(float(model(**batch).loss) for batch in batches) / len(batches)
            apart = torch.cat([_sampled_and_scored(model, processor, row) for row in rows])
        single = kind == "float32"
        what = f"log-probabilities sampled and scored apart, {kind}, most and mean"
        found = f"{float(apart.max()):.1g}, {float(apart.mean()):.1g}"
        wanted = "at most under 1e-4" if single else ""
        yield place.figure("precision", what, found, wanted, bool(apart.max() < 1e-4) if single else None)
    share = abs(losses["bfloat16"] / losses["float32"] - 1)
    found = f"{losses['bfloat16']:.4f} and {losses['float32']:.4f}"
    yield place.figure("precision", "loss in bf16 and in single precision", found, "within 1%", share < 0.01)


def _sampled_and_scored(model: Any, processor: Any, row: Mapping[str, Any]) -> Any:
    """How far apart the log-probabilities of a reply to a whole episode are: token by token, and all at once."""
    import torch

    from gog_train.collator import tools_of, with_images

    messages = with_images(row)
    last = max(place for place, message in enumerate(messages) if message["role"] == "assistant")
    inputs = processor.apply_chat_template(
        [messages[:last]],
        tools=tools_of(row) or None,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"add_special_tokens": False},
    ).to(model.device)
    images = [processor.tokenizer.convert_tokens_to_ids(token) for token in BACKBONES[BACKBONE].placeholders]
    out = model.generate(
        **inputs,
        do_sample=True,
        suppress_tokens=images,
        min_new_tokens=SAMPLED,
        max_new_tokens=SAMPLED,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = out.sequences[0, -SAMPLED:]
    at_once = dict(inputs) | {"input_ids": out.sequences, "attention_mask": torch.ones_like(out.sequences)}
    kinds = inputs["mm_token_type_ids"]
    at_once["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(1, SAMPLED)], dim=1)
    scored = model(**at_once).logits[0, -SAMPLED - 1 : -1].float().log_softmax(-1)
    sampled = torch.cat(out.logits).float().log_softmax(-1)
    return (scored - sampled).gather(1, tokens[:, None]).abs().flatten().cpu()


def _forget(place: Place) -> None:
    """Begin to measure a peak of memory."""
    import gc

    import torch

    gc.collect()
    if place.gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _memory(place: Place, part: str, settings: Any) -> Iterator[Figure]:
    """The peak by what `gog_train.check` says, CUDA's own share apart, which no allocator counts."""
    import torch

    from gog_train.memory import gigabytes, memory_of, shape_of

    if not place.gpu:  # a CPU's memory is everybody's
        return
    peak, there = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    memory = memory_of(shape_of(settings), settings, 1, there)
    estimate = memory.total - memory.overhead
    found = f"{gigabytes(peak)} of {gigabytes(estimate)}"
    yield place.figure(part, "peak of memory, of the estimate", found, "below", peak < estimate)


def _rows(place: Place) -> list[dict[str, Any]]:
    from gog_train.data import open_export
    from gog_train.rows import rows_of

    return list(rows_of(open_export(place.export("sft"), "sft", BACKBONE), "train"))


def _longest(place: Place) -> int:
    from gog_train.collator import row_length
    from gog_train.processors import fit, load_processor

    processor = load_processor(str(place.folder / place.name))
    fit(processor, place.backbone.template(thinking=True), place.backbone)
    return max(row_length(row, processor, place.backbone) for row in _rows(place))


def curve(output: Path, name: str) -> list[float]:
    """The points of a training's curve."""
    lines = (output / "rollouts" / "runs" / "training" / "curves.jsonl").read_text("utf-8").splitlines()
    values = [json.loads(line)["values"] for line in lines]
    return [point[name] for point in values if name in point]


PARTS: Final[dict[str, Callable[[Place], Iterator[Figure]]]] = {
    "sft": sft,
    "plain": plain,
    "grpo": grpo,
    "precision": precision,
    "vllm": vllm,
    "vllm-single": vllm_single,
}


def device() -> dict[str, Any]:
    """What there is to train on, and whether vLLM is there."""
    import torch

    from gog_train.checkpoints import version_of, versions

    gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if gpu else "CPU"
    return {"gpu": gpu, "name": name, "vllm": version_of("vllm"), "versions": versions()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", choices=list(SIZES))
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    if not options.parts:
        print(json.dumps(device()))
        return 0
    if find_spec("torchvision") is None:  # else the processor is transformers' own, with the pixels that vLLM makes
        tiny_models.register()
    place = Place(options.folder, options.size, SIZES[options.size], options.quick)
    module = import_module("gog.transforms.dialect.backbones.qwen3_vl")
    module.BACKBONE = place.backbone  # type: ignore[attr-defined]
    if not (place.folder / place.name).exists():
        checkpoint(place.folder / place.name, place.size)
    for part in options.parts:
        figures = list(PARTS[part](place))
        with (place.folder / "figures.jsonl").open("a") as file:
            file.write("".join(json.dumps(asdict(figure)) + "\n" for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
