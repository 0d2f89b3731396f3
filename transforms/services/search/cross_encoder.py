"""A model that reads a query and a text together, and says how well they fit: slower than an encoder, and closer.

`onnx:FILE` with its tokenizer beside it, or `transformers:NAME_OR_FOLDER`, a classifier of sequences: addresses like
those of encoders. It gives a score a pair, or two of which the second is that they fit.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gog.schemas import FailureClass
from gog.transforms.services.batches import Batches
from gog.transforms.services.encoders.encoder import BATCH
from gog.transforms.services.encoders.onnx import LONG_TEXT, Tokens, named, open_session, tried
from gog.transforms.services.encoders.transformers import revision
from gog.transforms.services.loop import shared
from gog.transforms.services.protocols import ServiceError
from gog.transforms.services.provider import Opening, ProviderError
from gog.transforms.services.providers import ENCODERS, check_installed, checked, scheme_of
from gog.transforms.services.weights import file_hash

Pair = tuple[str, str]
Score = Callable[[Sequence[Pair]], NDArray[Any]]

EXAMPLE: Final = "onnx:reranker/model.onnx"
_TOKENS: Final = 512
"""Of a pair, where the model has room for as many."""


class CrossEncoder:
    """A model in this process, on a thread of its own; calls in flight go through it in batches."""

    def __init__(self, name: str, score: Score) -> None:
        """`score` gives one or two numbers a pair, shape (pairs, 1 or 2)."""
        self.id, self._score = name, score
        self._batches: Batches[Pair, float] = Batches(self._scored, BATCH)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text fits, the more the higher. Raises `ServiceError`."""
        return list(await asyncio.gather(*(self._batches("pair", (query, text)) for text in texts)))

    def _scored(self, group: Hashable, pairs: Sequence[Pair]) -> list[float]:
        try:
            rows = np.asarray(self._score(pairs), np.float64)
        except Exception as error:  # torch and onnxruntime have a class for each of a dozen failures
            said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ServiceError(FailureClass.SERVER, f"{self.id} failed: {said}") from error
        if rows.shape not in ((len(pairs), 1), (len(pairs), 2)) or not np.isfinite(rows).all():
            raise ServiceError(FailureClass.MALFORMED, f"{self.id}: {len(pairs)} pairs gave {rows.shape} numbers")
        return [float(row[-1] - (row[0] if len(row) == 2 else 0.0)) for row in rows]


def check_cross_encoder(address: str) -> None:
    """Raise `ProviderError` where it is not to be had; loads nothing."""
    if scheme_of(address) not in ("onnx", "transformers"):
        raise ProviderError(f"{address!r} is no address of a cross-encoder; for example {EXAMPLE!r}")
    provider, _ = checked(ENCODERS, Opening(address))
    check_installed(provider, address)


def open_cross_encoder(address: str) -> CrossEncoder:
    """The model at an address, one a process. Raises `ProviderError`."""
    check_cross_encoder(address)
    scheme, _, rest = address.partition(":")
    make = (lambda: _of_onnx(Path(rest))) if scheme == "onnx" else (lambda: _of_transformers(rest))
    return shared(("cross-encoder", address), make)


def _of_onnx(path: Path) -> CrossEncoder:
    session, tokens = open_session(path), Tokens(path)
    names, outputs = [one.name for one in session.get_inputs()], [one.name for one in session.get_outputs()]
    if "input_ids" not in names or len(outputs) != 1:
        raise ProviderError(
            f"onnx:{path}: it takes {', '.join(names)} and gives {', '.join(outputs)}: no cross-encoder"
        )

    def score(pairs: Sequence[Pair]) -> NDArray[Any]:
        columns = tokens.inputs(list(pairs))
        return np.asarray(session.run(outputs, {name: columns[name] for name in names})[0])

    tried(f"onnx:{path}", lambda: _one_or_two(f"onnx:{path}", score([("word", LONG_TEXT)])))
    return CrossEncoder(named(path, tokens.told.tokens, file_hash(tokens.file)), score)


def _of_transformers(name: str) -> CrossEncoder:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = f"transformers:{name}"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        loaded, info = AutoModelForSequenceClassification.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # each of a dozen libraries has its own
        said = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise ProviderError(f"{model}: it cannot be loaded: {said}") from None
    if info["missing_keys"]:
        raise ProviderError(f"{model}: it was not trained to score pairs: {min(info['missing_keys'])} is not in it")
    gpu = torch.cuda.is_available()
    loaded = loaded.eval().to("cuda" if gpu else "cpu", torch.float16 if gpu else torch.float32)
    most = min(tokenizer.model_max_length, getattr(loaded.config, "max_position_embeddings", _TOKENS), _TOKENS)

    def score(pairs: Sequence[Pair]) -> NDArray[Any]:
        encoded = tokenizer(list(pairs), padding=True, truncation=True, max_length=most, return_tensors="pt")
        with torch.inference_mode():
            return np.asarray(loaded(**encoded.to(loaded.device)).logits.float().cpu().numpy())

    tried(model, lambda: _one_or_two(model, score([("word", LONG_TEXT)])))
    return CrossEncoder(f"{model.partition(':')[0]}:{Path(name).name}@{revision(name, loaded.config)}-{most}", score)


def _one_or_two(model: str, rows: NDArray[Any]) -> None:
    if rows.shape not in ((1, 1), (1, 2)):
        raise ProviderError(f"{model}: it gives numbers of the shape {rows.shape} for a pair: a score, or two")
