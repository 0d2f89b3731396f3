"""What a model is given beside ids: marks stand where the image tokens do, whatever TRL says, and cuts are left out."""

from dataclasses import replace

import torch
from PIL import Image
from tiny_models import SIDE, processor
from training import small

from gog.transforms.dialect.backbones import BACKBONES
from gog_train.image_inputs import for_generation, for_training

PAD = 7
GEMMA, INTERNVL, QWEN = BACKBONES["gemma3"], BACKBONES["internvl3.5"], BACKBONES["qwen3-vl"]


def test_marks_of_a_batch_are_made_of_its_tokens() -> None:
    ids = torch.tensor([[0, 1, PAD, PAD, 2], [PAD, 1, 2, 3, PAD]])
    wanted = [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]
    pixels, wrong = torch.ones(3, 4), torch.zeros_like(ids)
    fields = {"pixel_values": pixels, "num_images": [1, 2], "num_crops": [0, 0, 0], "image_grid_thw": pixels}
    fields |= {"token_type_ids": wrong, "mm_token_type_ids": wrong, "num_tiles": None, "compute_entropy": True}
    taken = for_training(fields, ids, GEMMA, PAD)
    assert set(taken) == {"pixel_values", "num_images", "compute_entropy", "token_type_ids"}
    assert taken["token_type_ids"].tolist() == wanted
    assert taken["pixel_values"] is pixels
    assert set(for_training(fields, ids, INTERNVL, PAD)) == {"pixel_values", "num_images", "compute_entropy"}
    qwen = for_training(fields, ids, QWEN, PAD)
    assert qwen["mm_token_type_ids"].tolist() == wanted
    assert "image_grid_thw" in qwen


def test_prompts_are_given_their_pixels_and_a_list_of_marks_each() -> None:
    family = small("gemma3")
    images = [[Image.new("RGB", (90, 60))], [], [Image.new("RGB", (60, 90)), Image.new("RGB", (9, 9))]]
    prompts = [[1, PAD, 2], [1], [PAD, PAD]]
    processed = processor("gemma3").image_processor
    made = for_generation(processed, prompts, images, family, PAD)
    assert set(made) == {"pixel_values", "token_type_ids"}
    side = SIDE * family.factor
    assert made["pixel_values"].shape == (3, 3, side, side)
    assert made["token_type_ids"] == [[0, 1, 0], [0], [1, 1]]
    assert set(for_generation(processed, prompts, images, replace(family, marks=""), PAD)) == {"pixel_values"}
