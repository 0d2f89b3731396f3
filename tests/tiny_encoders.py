"""Encoders as small ONNX files, made here: one of pictures, by their mean colours, and one of texts, by their words."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

WORDS: Final = ("[PAD]", "[UNK]", "query", "passage", ":", "cat", "feline", "dog", "hound", "tower", "spire", "bread")
MEANINGS: Final = (0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 8)
"""Words of one meaning have one vector."""
PREPROCESSING: Final = {
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
}


def picture_encoder(folder: Path) -> Path:
    """A file whose vectors are the mean colours of a picture's four quarters, with its config beside it."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("AveragePool", ["pixel_values"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["cells"], ["features"], axis=1),
    ]
    taken = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 32, 32])
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 12])
    _save(folder, helper.make_graph(nodes, "pictures", [taken], [given]))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    return folder / "model.onnx"


def text_encoder(folder: Path) -> Path:
    """A file whose vectors are a row for each of the `WORDS`, with tokenizer, pooling and prompts beside it."""
    from onnx import TensorProto, helper, numpy_helper

    rows = np.eye(len(set(MEANINGS)), dtype=np.float32)[list(MEANINGS)]
    rows[[1, 2, 3, 4]] *= 0.05
    nodes = [helper.make_node("Gather", ["rows", "input_ids"], ["last_hidden_state"], axis=0)]
    taken = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    given = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", rows.shape[1]])
    _save(folder, helper.make_graph(nodes, "texts", taken, [given], [numpy_helper.from_array(rows, "rows")]))
    _save_tokenizer(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return folder / "model.onnx"


def cross_encoder(folder: Path, *, scores: int = 1) -> Path:
    """A file that scores a pair by how many towers and spires are in it; with two scores the second is that one."""
    from onnx import TensorProto, helper, numpy_helper

    rows = np.zeros((len(WORDS), scores), np.float32)
    rows[[WORDS.index("tower"), WORDS.index("spire")], -1] = 1
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["each"], axis=0),
        helper.make_node("ReduceSum", ["each", "axes"], ["logits"], keepdims=0),
    ]
    taken = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])]
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", scores])
    held = [numpy_helper.from_array(rows, "rows"), numpy_helper.from_array(np.array([1], np.int64), "axes")]
    _save(folder, helper.make_graph(nodes, "pairs", taken, [given], held))
    _save_tokenizer(folder)
    return folder / "model.onnx"


def _save_tokenizer(folder: Path) -> None:
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, "[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def _save(folder: Path, graph: Any) -> None:
    import onnx
    from onnx import helper

    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")


def encoder_of_both(folder: Path) -> Path:
    """A SigLIP of random weights, which takes pictures and texts."""
    import torch
    from transformers import AutoModel, BertTokenizerFast, SiglipConfig

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = sizes | {"vocab_size": len(WORDS) + 3, "max_position_embeddings": 12, "pad_token_id": 0}
    config = SiglipConfig(
        text_config=words | {"projection_size": 16}, vision_config=sizes | {"image_size": 32, "patch_size": 16}
    )
    AutoModel.from_config(config).save_pretrained(folder)
    (folder / "words").write_text("\n".join([*WORDS, "[CLS]", "[SEP]", "[MASK]"]))
    BertTokenizerFast(str(folder / "words")).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    return folder
