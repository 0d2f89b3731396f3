"""The vocabulary of the model that learns from nothing: what an episode always says is one token, and so is a number.

    python -m learn.words OUTPUT EXPORT...

A real tokenizer spends some 600 tokens on the prompt and the tools. Here whatever stands unchanged in many rows of an
export (`fixed`) is a token of its own, as is each whole number to 1000, so that a box is four tokens.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import tiny_models
from learn.family import BACKBONE
from tiny_models import ADDED, SPECIALS

from gog.transforms.atlas.facts import by_code

NUMBERS: Final = tuple(str(number) for number in range(1001))
_TAGS: Final = re.compile("(" + "|".join(map(re.escape, (*SPECIALS, *ADDED))) + r"|\n)")
_NUMBER: Final = re.compile(r"(\d+)")


def fixed(texts: Sequence[str], share: float = 0.02) -> list[str]:
    """Passages of more than one word that many of the texts have: lines of half of them, and what so small a share has
    between two numbers, line breaks or tags.
    """
    lines = _common(texts, _lines, 0.5)
    return sorted(lines | _common(texts, lambda text: _between_numbers(text, lines), share))


def _common(texts: Sequence[str], parts: Callable[[str], Iterable[str]], share: float) -> set[str]:
    counts = Counter(chain.from_iterable({part for part in parts(text) if len(part.split()) > 1} for text in texts))
    return {part for part, count in counts.items() if count >= max(2, share * len(texts))}


def _lines(text: str) -> list[str]:
    return _TAGS.split(text)


def _between_numbers(text: str, known: Container[str]) -> Iterator[str]:
    for line in _lines(text):
        yield from () if line in known else _NUMBER.split(line)


def tokenizer(texts: Sequence[str], names: Sequence[str], words: int = 1200) -> Any:
    """A Qwen tokenizer: bytes, words of the texts, numbers, `fixed` passages, and each of the names."""
    from tokenizers import pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    passages = fixed(texts)
    rest = [_without(text, passages) for text in texts]
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Qwen2Tokenizer(vocab={symbol: index for index, symbol in enumerate(symbols)}, merges=[]).backend_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=words, initial_alphabet=symbols, show_progress=False)
    bare.train_from_iterator(rest, trainer)
    model = json.loads(bare.to_str())["model"]
    made = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[(left, right) for left, right in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        extra_special_tokens=list(SPECIALS),
    )
    made.add_tokens([*ADDED, *passages, *sorted(set(names)), *NUMBERS])
    return made


def _without(text: str, passages: Sequence[str]) -> str:
    known = set(passages)
    parts = chain.from_iterable([line] if line in known else _NUMBER.split(line) for line in _lines(text))
    return "".join(" " if part in known or part.isdigit() else part for part in parts)


def texts_of(export: Path) -> list[str]:
    """The rows of an SFT export as the trainer writes them."""
    import pyarrow.parquet as parquet

    form, plain = BACKBONE.template(thinking=True), tiny_models.tokenizer()
    columns = ["messages", "tools"]
    rows = [
        row
        for path in sorted((export / "data").glob("*.parquet"))
        for row in parquet.read_table(path, columns=columns).to_pylist()
    ]
    return [
        plain.apply_chat_template(
            json.loads(row["messages"]), tools=json.loads(row["tools"]), tokenize=False, chat_template=form.text
        )
        for row in rows
    ]


def main() -> None:
    """The command line."""
    output, *exports = map(Path, sys.argv[1:])
    texts = [text for export in exports for text in texts_of(export)]
    made = tokenizer(texts, [country.name for country in by_code().values()])
    lengths = [len(made(text)["input_ids"]) for text in texts]
    print(f"{len(made):,} tokens; {len(texts):,} rows of {sum(lengths) / len(lengths):.0f}, pictures not counted")
    made.save_pretrained(output)


if __name__ == "__main__":
    main()
