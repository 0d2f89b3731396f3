"""`transformers:NAME_OR_FOLDER`: a model of pictures, of texts, or of both, through torch (extra `train`).

By its config alone: weights are read as safetensors, and code that a repository brings is not run. In half precision
on a GPU.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gog.transforms.services.encoders.encoder import BATCH, Encoder, LocalEncoder
from gog.transforms.services.encoders.json_file import read_json
from gog.transforms.services.encoders.picture_input import PictureInput
from gog.transforms.services.encoders.text_input import TextInput, no_pooling
from gog.transforms.services.provider import Opening, Provider, ProviderError
from gog.transforms.services.weights import file_hash

_PADDED: Final = frozenset({"siglip", "siglip2"})
"""Models that were trained on texts of one length."""
_FILES: Final = (".json", ".safetensors", ".txt", ".model")
"""What a model's folder is read for."""
_ON_GPU: Final = 4
"""Times as many at once."""


def open_transformers(name: str) -> Encoder:
    """The encoder of that name, or in that folder. Raises `ProviderError`."""
    from transformers import AutoConfig, AutoModel

    model = f"transformers:{name}"
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        loaded, info = AutoModel.from_pretrained(
            name, config=config, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # each of a dozen libraries has its own
        said = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise ProviderError(f"{model}: it cannot be loaded: {said}") from None
    pooled = not any("pooler" in key or key.startswith("head.") for key in info["missing_keys"])
    return _Loaded(name, config, loaded, pooled=pooled).encoder()


class _Loaded:
    def __init__(self, name: str, config: Any, loaded: Any, *, pooled: bool) -> None:
        import torch

        self._name, self._config, self._pooled = name, config, pooled
        self._gpu = torch.cuda.is_available()
        kind = torch.float16 if self._gpu else torch.float32
        self._device = torch.device("cuda" if self._gpu else "cpu")
        self._model = loaded.eval().to(self._device, kind)
        self._kind = kind

    def encoder(self) -> Encoder:
        both = hasattr(self._model, "get_image_features") and hasattr(self._model, "get_text_features")
        prepare, told, tokenizer = None, None, None
        if both or self._model.main_input_name == "pixel_values":
            prepare = self._picture_input()
        if both or self._model.main_input_name == "input_ids":
            told, tokenizer = self._text_input()
            if not both and told.pooling is None:
                raise no_pooling(f"transformers:{self._name}")
        if prepare is None and told is None:
            raise ProviderError(
                f"transformers:{self._name}: it takes {self._model.main_input_name}, not pictures or texts"
            )

        def pictures(given: Sequence[Image.Image]) -> NDArray[Any]:
            assert prepare is not None
            return self._seen(np.stack([prepare(picture) for picture in given]), both=both)

        def texts(given: Sequence[str], asks: bool) -> NDArray[Any]:
            assert told is not None
            return self._read([told.prompted(text, asks=asks) for text in given], told, tokenizer, both=both)

        done = hashlib.sha256(repr((prepare, told, self._pooled)).encode()).hexdigest()[:6]
        return LocalEncoder(
            f"transformers:{Path(self._name).name}@{revision(self._name, self._config)}-{done}",
            pictures=pictures if prepare else None,
            texts=texts if told else None,
            precision="float16" if self._gpu else "float32",
            batch=BATCH * _ON_GPU if self._gpu else BATCH,
        )

    def _seen(self, batch: NDArray[np.float32], *, both: bool) -> NDArray[Any]:
        import torch

        values = torch.from_numpy(batch).to(self._device, self._kind)
        with torch.inference_mode():
            given = self._model.get_image_features(pixel_values=values) if both else self._model(pixel_values=values)
        return _numbers(_vector(given, pooled=self._pooled or both))

    def _read(self, given: list[str], told: TextInput, tokenizer: Any, *, both: bool) -> NDArray[Any]:
        import torch

        whole = "max_length" if self._config.model_type in _PADDED else True
        encoded = tokenizer(given, padding=whole, truncation=True, max_length=told.tokens, return_tensors="pt")
        encoded = encoded.to(self._device)
        with torch.inference_mode():
            if not both:
                found = self._model(**encoded).last_hidden_state
                return told.pooled(_numbers(found), encoded["attention_mask"].cpu().numpy())
            # A text tower that was trained without a mask is asked without one, as its tokenizer says.
            names = ("input_ids", "attention_mask") if whole is True else ("input_ids",)
            asked = {name: encoded[name] for name in names if name in encoded}
            return _numbers(_vector(self._model.get_text_features(**asked), pooled=True))

    def _picture_input(self) -> PictureInput:
        from transformers import ImageProcessingMixin

        try:
            told, _ = ImageProcessingMixin.get_image_processor_dict(self._name)
        except (OSError, ValueError) as error:
            said = str(error).splitlines()[0][:200]
            raise ProviderError(f"transformers:{self._name}: how it wants its pictures is not there: {said}") from None
        return PictureInput.read(told, f"transformers:{self._name}")

    def _text_input(self) -> tuple[TextInput, Any]:
        from transformers import AutoTokenizer

        model = f"transformers:{self._name}"
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._name, trust_remote_code=False)
        except Exception as error:  # of tokenizers, sentencepiece and others
            raise ProviderError(f"{model}: no tokenizer: {str(error).splitlines()[0][:200]}") from None
        text = getattr(self._config, "text_config", self._config)
        places = getattr(text, "max_position_embeddings", None)
        told = TextInput.read(self._file, model)
        if isinstance(places, int) and places < told.tokens:
            told = TextInput(places, told.query, told.passage, told.pooling)
        return told, tokenizer

    def _file(self, name: str) -> Mapping[str, Any] | None:
        from transformers.utils import cached_file

        found = cached_file(
            self._name,
            name,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return None if found is None else read_json(Path(found))


def revision(name: str, config: Any) -> str:
    """A hub's commit, or a hash of a folder's weights."""
    if not Path(name).is_dir():
        return str(config._commit_hash)[:12]
    files = sorted(Path(name).glob("*.safetensors"))
    return hashlib.sha256("".join(map(file_hash, files)).encode()).hexdigest()[:12]


def _vector(given: Any, *, pooled: bool) -> Any:
    """One vector each, of what a model gives: its own, where that was trained, or that of the first token."""
    if not hasattr(given, "last_hidden_state"):
        return given
    own = given.pooler_output if pooled and getattr(given, "pooler_output", None) is not None else None
    found = given.last_hidden_state if own is None else own
    if found.ndim == 4:
        return found.mean(dim=(2, 3))
    return found[:, 0] if found.ndim == 3 else found


def _numbers(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), np.float32)


def _files(folder: Path) -> dict[str, Path] | None:
    """Config, weights and tokenizer of a folder; a model that is named lies in the cache of the hub."""
    if not folder.is_dir():
        return None
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in _FILES and path.is_file()]
    return {f"{folder.name}/{path.relative_to(folder).as_posix()}": path for path in found}


def _fits(opening: Opening) -> bool:
    path = Path(opening.rest)
    named = path.is_dir() or path.is_absolute() or opening.rest.startswith(".")
    if named and not (path / "config.json").is_file():
        raise ProviderError(f"{opening.address}: there is no config.json in that folder")
    return bool(opening.rest)


ENCODER = Provider[Encoder](
    name="transformers",
    rest="either",
    example="transformers:google/siglip2-base-patch16-224",
    packages=("transformers", "torch"),
    extra="train",
    fits=_fits,
    files=_files,
    open=lambda opening: open_transformers(opening.rest),
)
