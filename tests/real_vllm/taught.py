"""Teaches a tiny model to gaze three times and to answer with a number, in a minute or two: what no random one does.

    python taught.py MODEL EXPORT OUTPUT [STEPS]

The episodes are played over the export's own questions and the bundled world, so that crops and results are real.
"""

import asyncio
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from gog.transforms.episode.machine import offered_tools
from gog.transforms.export.rows import chat_message
from gog.transforms.services.loop import run_on_loop
from gog_train.checkpoints import save
from gog_train.collator import NO_LOSS, EpisodeCollator
from gog_train.data import Export, open_export
from gog_train.environment import Rollout
from gog_train.processors import fit, load_model, load_processor
from gog_train.questions import questions
from gog_train.services import Addresses, TrainingServices, open_services

LOOKS = ((100, 100, 500, 500), (300, 200, 700, 600), (400, 400, 900, 900))
ANSWERS = ("2", "3", "4")
SIDES = (256, 320, 480, 1024)
"""Longest sides that pictures are made: mostly small, since nothing is to be read off them."""


def turns(answer: str) -> list[str]:
    """What the model is to write, turn by turn."""
    looked = []
    for number, box in enumerate(LOOKS):
        call = json.dumps({"name": "gaze", "arguments": {"bbox_2d": box, "label": "the flag", "image": 0}})
        looked.append(f"Look {number + 1}.\n</think>\n\n<tool_call>\n{call}\n</tool_call>")
    return [*looked, f"Evidence: useful.\n</think>\n\n<answer>{answer}</answer>"]


def small(data: bytes, side: int) -> bytes:
    """The picture with no side longer than that."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.thumbnail((side, side))
        out = io.BytesIO()
        picture.convert("RGB").save(out, "PNG")
    return out.getvalue()


async def played(row: dict[str, Any], answer: str, services: TrainingServices, export: Export) -> dict[str, Any]:
    """An episode as a row of an SFT export."""
    rollout = Rollout(row, services.tools, services.images, export.episode)
    for text in turns(answer):
        assert not rollout.over, rollout.ending
        await rollout.turn("<think>\n" + text)
    messages = [chat_message(message) for message in rollout.episode.messages]
    images = [services.images.read(image.sha256) for image in rollout.episode.images]
    for message in messages:
        message["train"] = message["role"] == "assistant"
    return {
        "id": row["id"],
        "messages": messages,
        "tools": list(offered_tools(export.episode)),
        "images": [{"bytes": data} for data in images],
    }


def episodes(export: Export, work: Path) -> list[dict[str, Any]]:
    """An episode of each question and size."""
    addresses = Addresses("corpus:atlas", "gallery:atlas", ("rules:",), work / "calls")
    services = open_services(addresses, export.tools.crops, export.episode)
    rows = questions(export.rows("train"), list(range(len(export.rows("train")))))
    draw = random.Random(0)

    async def every() -> list[dict[str, Any]]:
        asked = [row | {"files": [small(data, side) for data in row["files"]]} for row in rows for side in SIDES]
        return list(await asyncio.gather(*(played(row, draw.choice(ANSWERS), services, export) for row in asked)))

    try:
        return run_on_loop(every())
    finally:
        services.close()


def own_turns(batch: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """The batch with the model's own turns as labels, whatever mask transformers made.

    Before 5.13, as verl needs it, its mask counts characters of a text in which images are not expanded yet.
    """
    header = tokenizer.encode("<|im_start|>assistant\n<think>\n", add_special_tokens=False)
    (end,) = tokenizer.encode("<|im_end|>", add_special_tokens=False)
    (ids,) = batch["input_ids"].tolist()
    labels, own = [], False
    for place, token in enumerate(ids):
        own = own or ids[max(0, place - len(header)) : place] == header
        labels.append(token if own else NO_LOSS)
        own = own and token != end
    assert any(label != NO_LOSS for label in labels)
    return batch | {"labels": batch["input_ids"].new_tensor([labels])}


def teach(model_folder: str, export_folder: Path, output: Path, steps: int) -> None:
    """Train all weights on the episodes and save the model as a training does."""
    import torch

    torch.manual_seed(0)
    export = open_export(export_folder, "rl", "qwen3-vl", (1, 2))
    form = export.template(None)
    processor, model = load_processor(model_folder), load_model(model_folder)
    fit(processor, form, export.backbone)
    collate = EpisodeCollator(processor)
    batches = [own_turns(collate([row]), processor.tokenizer) for row in episodes(export, output)]
    print(f"{len(batches)} episodes of {[batch['input_ids'].shape[1] for batch in batches[:4]]} tokens", flush=True)
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, (step + 1) / 20, (steps - step) / 40))
    draw = random.Random(0)
    for step in range(steps):
        loss = model(**draw.choice(batches)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        schedule.step()
        adam.zero_grad()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    save(model, processor, form, export.backbone, output, "merged")


if __name__ == "__main__":
    teach(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 200)
