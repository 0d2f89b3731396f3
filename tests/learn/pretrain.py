"""Gives the model eyes and words, by a loop of its own: what a real one brings along.

It sees drawn scenes and says how many flags there are, where each is, from the left, and where a clear reference
points; and it reads lists and says what stands where. No question, no tool, no turn of an episode; flags of held-out
countries are never drawn.

    python -m learn.pretrain TOKENIZER OUTPUT --scenes 48000
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import tiny_models
from learn import progress
from learn.family import BACKBONE
from learn.model import make_model
from learn.words import NUMBERS
from PIL import Image

from gog.schemas import Box
from gog.transforms.atlas.facts import by_code
from gog.transforms.atlas.questions import WORDS, flag_phrase
from gog.transforms.atlas.references import clear_references
from gog.transforms.atlas.scenes import Scene, compose_scene
from gog_train.checkpoints import save

SEED: Final = 1000
"""Of the scenes; runs draw theirs from other seeds."""
KINDS: Final = ("gaze", "gaze", "gaze", "trap", "direct", "glance")
BATCH: Final = 16
NEAR: Final = ((0, 0.4), (8, 0.2), (-8, 0.2), (16, 0.1), (-16, 0.1))
"""What a box's number is taught as: itself and numbers that are near."""


class Lesson(NamedTuple):
    """A picture, a text about it, and which characters of the text are to be learnt."""

    image: Image.Image
    text: str
    learnt: tuple[tuple[int, int], ...]


def lesson(index: int, names: list[str]) -> Lesson:
    """Lesson number `index`: the count, every flag, some references, and something to read."""
    rng = random.Random(f"lesson:{index}")
    scene = compose_scene(rng.choice(KINDS), SEED, index)
    parts: list[tuple[str, bool]] = [("<|vision_start|><|image_pad|><|vision_end|>", False)]
    parts += [("\nflags:", False), (f" {WORDS[len(scene.boxes)]}", True)]
    pointed = [("flag", box) for _, box in sorted(scene.boxes, key=lambda flag: flag[1].x1)] + _pointed(scene, rng)
    for phrase, box in pointed:
        parts += [(f"\n{phrase}: [", False), (", ".join(str(round(1000 * side)) for side in box), True)]
    listed = rng.sample(names, 3)
    for place, name in enumerate(listed, 1):
        parts.append((f"\n[{place}] Flag of {name} | score 0.{rng.randint(10, 99)}", False))
    for place in rng.sample(range(3), 2):
        parts += [(f"\n{place + 1}:", False), (f" {listed[place]}", True)]
    text, learnt = "", []
    for part, taught in parts:
        if taught:
            learnt.append((len(text), len(text) + len(part)))
        text += part
    return Lesson(scene.image, text, tuple(learnt))


def _pointed(scene: Scene, rng: random.Random) -> list[tuple[str, Box]]:
    boxes = [box for _, box in scene.boxes]
    pairs = clear_references(boxes) if len(boxes) > 1 else [("", 0)]
    return [(flag_phrase(reference), boxes[i]) for reference, i in rng.sample(pairs, min(4, len(pairs)))]


class Reader:
    """Makes batches of lessons: what the model takes, and which of its tokens are numbers of boxes or other words."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.names = sorted({country.name for country in by_code().values()})

    def batch(self, indexes: list[int]) -> dict[str, Any]:
        """Tensors; `labels` is -100 where nothing is learnt."""
        import torch

        lessons = [lesson(index, self.names) for index in indexes]
        tokens = self.processor(
            text=[one.text for one in lessons],
            images=[[one.image] for one in lessons],
            padding=True,
            return_tensors="pt",
        )
        labels = torch.full_like(tokens["input_ids"], -100)
        for row, one in enumerate(lessons):
            there = tokens["attention_mask"][row].nonzero().flatten()
            self._mark(labels[row], tokens["input_ids"][row], int(there[-1]) + 1, one)
        return dict(tokens) | {"labels": labels}

    def _mark(self, labels: Any, ids: Any, end: int, one: Lesson) -> None:
        """Copy the ids of what is learnt: the text's own tokens, counted from its end, since the picture grows."""
        coded = self.processor.tokenizer(one.text, return_offsets_mapping=True)
        for back, (left, right) in enumerate(reversed(coded["offset_mapping"]), 1):
            if any(first <= left and right <= last and left < right for first, last in one.learnt):
                labels[end - back] = ids[end - back]


def batches(processor: Any, scenes: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """All lessons once, in order."""
    reader = Reader(processor)
    for start in range(first, first + scenes, BATCH):
        yield reader.batch(list(range(start, start + BATCH)))


def loss_of(model: Any, batch: dict[str, Any], number_ids: list[int]) -> tuple[Any, dict[str, float]]:
    """Cross entropy, of numbers against those near them as well; and how much was right."""
    import torch
    from torch.nn import functional

    labels = batch["labels"][:, 1:]
    hidden = model.model(**{key: value for key, value in batch.items() if key != "labels"}).last_hidden_state[:, :-1]
    wanted = labels >= 0
    logits = model.lm_head(hidden[wanted])
    labels = labels[wanted]
    value = torch.full((logits.shape[1],), -1)
    value[number_ids] = torch.arange(len(number_ids))
    numbers = value[labels] >= 0
    logs = functional.log_softmax(logits, -1)
    words = -logs[~numbers].gather(1, labels[~numbers, None]).mean()
    row, place = torch.arange(int(numbers.sum())), value[labels[numbers]]
    shares = torch.zeros(len(row), len(number_ids))
    for step, share in NEAR:
        shares.index_put_((row, (place + step).clamp(0, len(number_ids) - 1)), torch.tensor(share), accumulate=True)
    of_numbers = logs[numbers][:, number_ids]
    boxes = -(shares * of_numbers).sum(-1).mean()
    off = (of_numbers.argmax(-1) - place).abs().float()
    whole = off.view(-1, 4).max(1).values
    right = {
        "boxes": float(boxes.detach()),
        "words": float(words.detach()),
        "within_32": float((whole <= 32).float().mean()),
        "off": float(off.mean()),
        "read": float((logits[~numbers].argmax(-1) == labels[~numbers]).float().mean()),
    }
    return boxes + words, right


def pretrain(
    processor: Any, output: Path, scenes: int, *, rate: float = 1.5e-3, seed: int = 0, save_every: int = 100
) -> None:
    """Train all weights on that many scenes, once each; `output/model` is saved at the end, and the curve beside it.

    Every so many steps where it is gets kept: a training that was stopped goes on from there, to the same weights.
    """
    import torch

    torch.manual_seed(seed)
    model = make_model(processor.tokenizer, seed=seed)
    numbers = processor.tokenizer.convert_tokens_to_ids(list(NUMBERS))
    print(f"{sum(p.numel() for p in model.parameters()):,} weights, {len(processor.tokenizer):,} tokens", flush=True)
    adam = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    steps, seen = scenes // BATCH, list[dict[str, float]]()
    output.mkdir(parents=True, exist_ok=True)
    done = progress.take_up(output, model, adam)
    before = _curve_until(output / "curve.jsonl", done * BATCH)
    began = time.process_time() - (before[-1]["cpu_s"] if before else 0)
    with (output / "curve.jsonl").open("w") as curve:
        curve.writelines(f"{json.dumps(line)}\n" for line in before)
        for step, batch in enumerate(batches(processor, scenes - done * BATCH, done * BATCH), done + 1):
            share = step / steps
            for group in adam.param_groups:
                group["lr"] = rate * min(1, step / 100) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * share)))
            loss, right = loss_of(model, batch, numbers)
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            seen.append(right)
            if step % 50 == 0 or step == steps:
                means = {key: round(sum(one[key] for one in seen) / len(seen), 4) for key in seen[0]}
                line = {"scenes": step * BATCH, "cpu_s": round(time.process_time() - began), **means}
                print(json.dumps(line), file=curve, flush=True)
                print(line, flush=True)
                seen = []
            if step % save_every == 0:
                progress.keep(output, model, adam, step)
    save(model, processor, BACKBONE.template(thinking=True), BACKBONE, output, "merged")
    progress.forget(output)


def _curve_until(path: Path, scenes: int) -> list[dict[str, Any]]:
    """The lines of a curve up to that many scenes."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [line for text in lines if (line := json.loads(text))["scenes"] <= scenes]


def main() -> None:
    """The command line."""
    import torch
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--scenes", type=int, default=48000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pretrain(make_processor(AutoTokenizer.from_pretrained(asked.tokenizer)), asked.output, asked.scenes)


def make_processor(tokenizer: Any) -> Any:
    """Qwen3-VL's, of pictures alone, with the family's budget."""
    from transformers import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(
        patch_size=BACKBONE.factor // 2, min_pixels=BACKBONE.min_pixels, max_pixels=BACKBONE.max_pixels
    )
    return tiny_models.processor_of("qwen3-vl", images, tokenizer)


if __name__ == "__main__":
    main()
