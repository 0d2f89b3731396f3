"""How a model of texts is used, by its own files: how many tokens it reads, what stands before a query and before a
passage, and how one vector is made of those of the tokens.

They are the files of sentence-transformers: `1_Pooling/config.json`, `config_sentence_transformers.json`,
`sentence_bert_config.json`; and `tokenizer_config.json`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from gog.transforms.services.provider import ProviderError

Pooling = Literal["mean", "cls", "lasttoken", "max"]

POOLING_FILE: Final = "1_Pooling/config.json"
CONFIGS: Final = (
    *("sentence_bert_config.json", "tokenizer_config.json", "config_sentence_transformers.json"),
    POOLING_FILE,
)
"""All that is asked for."""
_MODES: Final = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
}
_QUERY: Final = ("query", "search_query", "retrieval.query")
_PASSAGE: Final = ("passage", "document", "search_document", "corpus", "retrieval.passage")
"""Names of prompts."""
USUAL_TOKENS: Final = 512
"""Where no file says how many a model reads."""
_MOST_TOKENS: Final = 8192


@dataclass(frozen=True, slots=True)
class TextInput:
    """What is done to texts."""

    tokens: int = USUAL_TOKENS
    query: str = ""
    passage: str = ""
    pooling: Pooling | None = None
    """None where no file says."""

    @classmethod
    def read(cls, find: Callable[[str], Mapping[str, Any] | None], model: str) -> Self:
        """`find` gives a file of the model as JSON, None where there is none. Raises `ProviderError`."""
        try:
            asked = (find("sentence_bert_config.json") or {}).get("max_seq_length")
            asked = asked or (find("tokenizer_config.json") or {}).get("model_max_length") or USUAL_TOKENS
            prompts = (find("config_sentence_transformers.json") or {}).get("prompts") or {}
            return cls(
                tokens=int(asked) if 0 < asked < _MOST_TOKENS else USUAL_TOKENS,
                query=_first(prompts, _QUERY),
                passage=_first(prompts, _PASSAGE),
                pooling=_pooling(find(POOLING_FILE)),
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise ProviderError(f"{model}: its files cannot be read: {error}") from None

    def prompted(self, text: str, *, asks: bool) -> str:
        """The text behind its prompt."""
        return f"{self.query if asks else self.passage}{text}"

    def pooled(self, tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
        """One row a text of (texts, tokens, dimensions), where `mask` (texts, tokens) is 1 at tokens of the text."""
        tokens, present = np.asarray(tokens, np.float32), np.asarray(mask, np.float32)[:, :, None]
        if self.pooling == "cls":
            return np.asarray(tokens[:, 0], np.float32)
        if self.pooling == "lasttoken":
            last = mask.shape[1] - 1 - np.asarray(mask)[:, ::-1].argmax(1)
            return np.asarray(tokens[np.arange(len(tokens)), last], np.float32)
        if self.pooling == "max":
            return np.asarray(np.where(present > 0, tokens, -np.inf).max(1), np.float32)
        return np.asarray((tokens * present).sum(1) / np.maximum(present.sum(1), 1), np.float32)


def no_pooling(model: str) -> ProviderError:
    """Nothing says how a vector is made of a model's tokens."""
    return ProviderError(
        f"{model}: it gives a vector a token, and nothing says how one is made of them: write {POOLING_FILE} beside "
        'it, such as {"pooling_mode_mean_tokens": true}'
    )


def _pooling(config: Mapping[str, Any] | None) -> Pooling | None:
    if config is None:
        return None
    named = config.get("pooling_mode")
    modes = [named] if isinstance(named, str) else [mode for key, mode in _MODES.items() if config.get(key)]
    for pooling in get_args(Pooling):
        if modes == [pooling]:
            chosen: Pooling = pooling
            return chosen
    raise ValueError(f"{POOLING_FILE} asks for the pooling {modes}: one of {', '.join(get_args(Pooling))} is done")


def _first(prompts: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if isinstance(prompts.get(name), str):
            return str(prompts[name])
    return ""
