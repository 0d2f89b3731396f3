"""Words are scored as bm25s scores them, in as many blocks as it takes."""

import random
from pathlib import Path

import bm25s
import numpy as np
import pytest

from gog.transforms.services.search import word_writer
from gog.transforms.services.search.word_table import WordTable
from gog.transforms.services.search.word_writer import WordCounts, WordWriter


def written(folder: Path, passages: list[list[str]]) -> WordTable:
    writer, waiting = WordWriter(), folder.with_suffix(".waiting")
    with waiting.open("wb") as file:
        for start in range(0, len(passages), 3):  # blocks of three
            counts = WordCounts()
            for tokens in passages[start : start + 3]:
                counts.add(tokens)
            file.write(writer.numbered(counts.counted()).counts)
    writer.finish(waiting, folder)
    names = ["counts.npy", "lengths.npy", "passages.npy", "starts.npy", "weights.npy", "words.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    return WordTable(folder, len(passages))


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_scores_are_those_of_bm25s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(word_writer, "_BLOCK", block)
    rng = random.Random(1)
    passages = [[f"w{int(rng.paretovariate(0.8))}" for _ in range(rng.randrange(40))] for _ in range(200)]
    table = written(tmp_path, passages)
    peer = bm25s.BM25(method="lucene", backend="numpy", csc_backend="numpy", auto_compile=False)
    peer.index(passages, show_progress=False)
    for word, number in peer.vocab_dict.items():
        if not word:
            continue
        weights = table.weights(word)
        raw = np.zeros(len(passages))
        found = slice(peer.scores["indptr"][number], peer.scores["indptr"][number + 1])
        raw[peer.scores["indices"][found]] = peer.scores["data"][found]
        assert table.scores(weights).tolist() == np.round(raw / sum(weights.values()), 4).tolist()


@pytest.mark.parametrize("passages", [[], [[]], [[], ["one"], []]])
def test_there_may_be_no_words(tmp_path: Path, passages: list[list[str]]) -> None:
    table = written(tmp_path, passages)
    assert (table.scores(table.weights("one")) > 0).tolist() == [bool(tokens) for tokens in passages]
