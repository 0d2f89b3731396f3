"""ms-swift's own loader and template read an export; run in an environment with it.

    python check_ms_swift.py EXPORT BACKBONE TRL_EXPORT/sft

EXPORT holds `sft` and `rl`. The tokens have to be those of our chat template on the TRL export of the same run, and
those that are learned the same.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tiny_models
from cpu_torchvision import make_importable
from trainers.comparing import compare

from gog.transforms.dialect.backbones import BACKBONES

make_importable()


def template_of(backbone: str, processor: Any) -> Any:
    from swift.template import get_template

    kind = {"qwen2.5-vl": "qwen2_5_vl", "qwen3-vl": "qwen3_vl"}[backbone]
    config = SimpleNamespace(model_type=BACKBONES[backbone].model_type)
    processor.model_info = SimpleNamespace(
        model_dir="", model_type=kind, task_type="causal_lm", max_model_len=None, config=config, is_moe_model=False
    )
    processor.model_meta = SimpleNamespace(
        template=kind, candidate_templates=[kind], is_multimodal=True, is_reward=False, model_type=kind
    )
    made = get_template(processor, template_type=kind, agent_template="hermes", loss_scale="default")
    made.set_mode("train")
    return made


def main(folder: Path, backbone: str, trl: Path) -> None:
    from swift.dataset import load_dataset

    os.chdir(folder / "sft")
    processor = tiny_models.processor(backbone)
    made = template_of(backbone, processor)
    rows, _ = load_dataset(["train.jsonl"], num_proc=1, strict=True, load_from_cache_file=False)
    encoded = [made.encode(dict(row)) for row in rows]
    compare([(row["input_ids"], row["labels"]) for row in encoded], trl, processor, backbone)
    os.chdir(folder / "rl")
    asked, _ = load_dataset(
        ["train.jsonl"], num_proc=1, strict=True, load_from_cache_file=False, remove_unused_columns=False
    )
    for row in asked:
        assert row["solution"] in row["answers"]
        assert Path(row["images"][0]["path"]).is_file()
        assert [message["role"] for message in row["messages"]] == ["system", "user"]
        json.dumps(row["tools"])
    print(f"ms-swift, {backbone}: {len(rows)} SFT rows, tokens and learned spans are ours; {len(asked)} RL rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), str(sys.argv[2]), Path(sys.argv[3]).resolve())
