"""`onnx:FILE`: a model of pictures or of texts as an ONNX file, through onnxruntime (extra `search`).

Its config lies beside it, as where it was exported from: `preprocessor_config.json` (or timm's `config.json`) of one
that takes pictures, `tokenizer.json` of one that takes texts. A file in a folder `onnx` has them in the folder above.
"""

import glob
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.transforms.services.encoders.encoder import Encoder, LocalEncoder
from gog.transforms.services.encoders.json_file import read_json
from gog.transforms.services.encoders.picture_input import PictureInput
from gog.transforms.services.encoders.text_input import CONFIGS, TextInput, no_pooling
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.weights import file_hash

_WHOLE: Final = (
    *("image_embeds", "text_embeds", "sentence_embedding", "embedding", "embeddings"),
    *("features", "pooler_output", "last_hidden_state", "token_embeddings"),
)
"""Names of outputs, the better first."""
_TEXT: Final = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_PICTURES: Final = ("preprocessor_config.json", "processor_config.json", "config.json")


def open_onnx(path: Path) -> Encoder:
    """The encoder in a file. Raises `ProviderError`."""
    session = open_session(path)
    inputs = {one.name: one for one in session.get_inputs()}
    model = f"onnx:{path}"
    if len(inputs) == 1 and len(next(iter(inputs.values())).shape) == 4:
        return _of_pictures(path, session)
    if "input_ids" in inputs and not inputs.keys() - set(_TEXT):
        return _of_texts(path, session)
    told = ", ".join(f"{one.name} {one.shape}" for one in inputs.values())
    raise ProviderError(f"{model}: its inputs are {told}; a model takes pictures (n, 3, height, width) or input_ids")


def open_session(path: Path) -> Any:
    """The model in a file, ready to run. Raises `ProviderError`."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(path), providers=_providers(onnxruntime))
    except Exception as error:  # onnxruntime has a class for each of a dozen failures
        raise ProviderError(f"onnx:{path}: not a model that runs: {str(error).splitlines()[0][:200]}") from None


class Tokens:
    """The tokenizer beside a model; `told` is what its files say of texts, `file` where it was read."""

    def __init__(self, path: Path) -> None:
        """Raises `ProviderError`."""
        import tokenizers

        model = f"onnx:{path}"
        file = _beside(path, "tokenizer.json")
        if file is None:
            raise ProviderError(f"{model}: there is no tokenizer.json beside it, nor {path.stem}-tokenizer.json")
        self.file, self.told = file, TextInput.read(lambda name: _json(path, name), model)
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises a bare Exception
            raise ProviderError(f"{file}: no tokenizer: {str(error)[:200]}") from None
        given = tokenizer.truncation
        tokenizer.enable_truncation(min(self.told.tokens, given["max_length"]) if given else self.told.tokens)
        tokenizer.enable_padding(**(tokenizer.padding or _padding(tokenizer)) | {"length": None})
        self._tokenizer = tokenizer

    def inputs(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> dict[str, NDArray[np.int64]]:
        """All inputs that a model may have for a batch of texts, or of pairs; shapes (texts, tokens)."""
        encodings = self._tokenizer.encode_batch(list(texts))
        columns = {
            "input_ids": np.array([one.ids for one in encodings], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encodings], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encodings], np.int64),
        }
        columns["position_ids"] = np.maximum(columns["attention_mask"].cumsum(1) - 1, 0)
        return columns


def _of_pictures(path: Path, session: Any) -> Encoder:
    model, taken = f"onnx:{path}", session.get_inputs()[0]
    config = next((found for name in _PICTURES if (found := _picture_config(path, name))), None)
    if config is None:
        raise ProviderError(
            f"{model}: nothing says how it wants its pictures: put the preprocessor_config.json of its model beside it"
        )
    prepare = PictureInput.read(config, model)
    kind = np.float16 if "float16" in taken.type else np.float32
    output, several = _output(session, model), not isinstance(taken.shape[0], int)

    def encode(pictures: Sequence[Image.Image]) -> NDArray[Any]:
        batch = np.stack([prepare(picture) for picture in pictures]).astype(kind)
        size = len(batch) if several else 1
        parts = [session.run([output], {taken.name: batch[at : at + size]})[0] for at in range(0, len(batch), size)]
        found = np.concatenate(parts).astype(np.float32)
        return found.mean(axis=(2, 3)) if found.ndim == 4 else found[:, 0] if found.ndim == 3 else found

    height, width = prepare.sides or (1, 1)
    tried(model, lambda: encode([Image.new("RGB", (width, height), (90, 120, 150))]))
    return LocalEncoder(named(path, prepare), pictures=encode, precision=kind.__name__)


def _of_texts(path: Path, session: Any) -> Encoder:
    model, tokens = f"onnx:{path}", Tokens(path)
    told = tokens.told
    names = [one.name for one in session.get_inputs()]
    output = _output(session, model)

    def encode(texts: Sequence[str], asks: bool) -> NDArray[Any]:
        columns = tokens.inputs([told.prompted(text, asks=asks) for text in texts])
        found = session.run([output], {name: columns[name] for name in names})[0]
        if found.ndim != 3:
            return np.asarray(found)
        if told.pooling is None:
            raise no_pooling(model)
        return told.pooled(found, columns["attention_mask"])

    tried(model, lambda: encode([LONG_TEXT, "word"], False))
    return LocalEncoder(named(path, told, file_hash(tokens.file)), texts=encode)


LONG_TEXT: Final = "word " * 2000
"""What a model is tried with: as long as any text, so that one with fewer places says so at once."""


def tried(model: str, run: Callable[[], object]) -> None:
    """Run it once. Raises `ProviderError` where it does not."""
    try:
        run()
    except ProviderError:
        raise
    except Exception as error:  # onnxruntime's own
        raise ProviderError(f"{model}: it does not run by its config: {str(error).splitlines()[0][:200]}") from None


def _output(session: Any, model: str) -> str:
    names = [one.name for one in session.get_outputs()]
    found = names if len(names) == 1 else [name for name in _WHOLE if name in names]
    if not found:
        raise ProviderError(f"{model}: its outputs are {', '.join(names)}; none of them is named as {_WHOLE[0]!r} is")
    return str(found[0])


def named(path: Path, *settings: object) -> str:
    """The id: the file's name and hash, and a hash of all that is done before and after it."""
    done = hashlib.sha256(repr(settings).encode()).hexdigest()[:6]
    return f"onnx:{path.stem}@{file_hash(path)}-{done}"


def _picture_config(path: Path, name: str) -> Mapping[str, Any] | None:
    found = _json(path, name) or {}
    found = found.get("image_processor", found)
    known = "image_mean" in found or "size" in found or "input_size" in found.get("pretrained_cfg", found)
    return found if known else None


def _beside(path: Path, name: str) -> Path | None:
    folders = [path.parent, *([path.parent.parent] if path.parent.name == "onnx" else [])]
    tries = [place for folder in folders for place in (folder / f"{path.stem}-{name}", folder / name)]
    return next((place for place in tries if place.is_file()), None)


def _json(path: Path, name: str) -> Mapping[str, Any] | None:
    """A file beside the model; None where there is none. Raises `ProviderError`."""
    file = _beside(path, name)
    return None if file is None else read_json(file)


def _files(path: Path) -> dict[str, Path] | None:
    """The model, weights that it keeps in files of its own (`NAME.onnx.data` and the like), and its config."""
    if not path.is_file():
        return None
    weights = {file.name: file for file in sorted(path.parent.glob(f"{glob.escape(path.name)}*")) if file.is_file()}
    configs = {name: _beside(path, name) for name in (*_PICTURES, "tokenizer.json", *CONFIGS)}
    return weights | {name: file for name, file in configs.items() if file is not None}


def _padding(tokenizer: Any) -> dict[str, Any]:
    """How a tokenizer that says nothing of it pads: with the token that is named so, where there is one."""
    for token in ("[PAD]", "<pad>", "<|endoftext|>"):
        if (number := tokenizer.token_to_id(token)) is not None:
            return {"pad_id": number, "pad_token": token}
    return {}


def _providers(onnxruntime: Any) -> list[str]:
    there = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in there]


def _fits(opening: Opening) -> bool:
    if opening.rest and not Path(opening.rest).is_file():
        raise ProviderError(f"{opening.address}: there is no such file")
    return bool(opening.rest)


ENCODER = Provider[Encoder](
    name="onnx",
    rest="path",
    example="onnx:model.onnx",
    packages=("onnxruntime", "tokenizers"),
    extra="search",
    fits=_fits,
    files=_files,
    open=lambda opening: open_onnx(Path(opening.rest)),
)
