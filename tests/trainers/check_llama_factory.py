"""LLaMA-Factory's own loader, template and supervised processor read an export; run in an environment with it.

    python check_llama_factory.py EXPORT/sft BACKBONE TRL_EXPORT/sft

The tokens have to be those of our chat template on the TRL export of the same run, and those that are learned the same.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tiny_models
from cpu_torchvision import make_importable
from trainers.comparing import compare
from trainers.standins import stand_in

MISSING = stand_in("torchaudio")
if find_spec("torchvision"):
    make_importable()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    (info,) = get_dataset_list(["gog_train"], str(folder))
    data = DataArguments(dataset_dir=str(folder), media_dir=str(folder), overwrite_cache=True)
    model = ModelArguments(model_name_or_path="none", cache_dir=str(folder.parent / "cache"))
    training = Seq2SeqTrainingArguments(output_dir=str(folder.parent / "out"), report_to=[])
    return list(_load_single_dataset(info, model, data, training))


def encoded(rows: list[dict[str, Any]], backbone: str, processor: Any) -> list[tuple[list[int], list[int]]]:
    """Tokens and labels of every row, as they go into training."""
    from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    name = {"qwen2.5-vl": "qwen2_vl", "qwen3-vl": "qwen3_vl"}[backbone]
    data = DataArguments(template=name, cutoff_len=100_000, enable_thinking=True, mask_history=False)
    made = get_template_and_fix_tokenizer(processor.tokenizer, data)
    # What LLaMA-Factory patches into a processor when it loads a model.
    for key, value in {"image_max_pixels": 1 << 30, "image_min_pixels": 1, "image_resolution": 1 << 20}.items():
        setattr(processor, key, value)
    processor.video_processor = SimpleNamespace(temporal_patch_size=2, merge_size=2)  # a row has no video
    worker = SupervisedDatasetProcessor(
        template=made, tokenizer=processor.tokenizer, processor=processor, data_args=data
    )
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    out = worker.preprocess_dataset(columns)
    return list(zip(out["input_ids"], out["labels"], strict=True))


def main(folder: Path, backbone: str, trl: Path) -> None:
    processor = tiny_models.processor(backbone)
    rows = rows_of(folder)
    compare(encoded(rows, backbone, processor), trl, processor, backbone)
    images = sum(len(row["_images"]) for row in rows)
    print(f"LLaMA-Factory, {backbone}: {len(rows)} rows, {images} images; tokens and learned spans are ours", MISSING)


if __name__ == "__main__":
    main(Path(sys.argv[1]), str(sys.argv[2]), Path(sys.argv[3]))
