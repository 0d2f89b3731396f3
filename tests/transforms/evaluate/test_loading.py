"""Benchmarks: every published schema loads, nothing is lost without a reason, changed columns are refused."""

import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gog.schemas import AnswerType
from gog.transforms.evaluate.benchmark import BENCHMARKS
from gog.transforms.evaluate.items import DROPPED, FLAGS, BenchItem, BenchmarkError, Dropped
from gog.transforms.evaluate.loading import load_benchmark
from gog.transforms.images import ImageError

PUBLISHED = {name: files for name in BENCHMARKS if (files := BENCHMARKS[name].published) is not None}


def loaded(name: str, path: Path | str, split: str = "", **options: Any) -> tuple[list[BenchItem], list[Dropped]]:
    out = list(load_benchmark(name, str(path), split, **options))
    items = [item for item in out if isinstance(item, BenchItem)]
    dropped = [item for item in out if isinstance(item, Dropped)]
    assert len({item.item_id for item in items}) == len(items)
    assert all(item.benchmark == name and item.version and item.question and item.answers for item in items)
    assert {flag for item in items for flag in item.flags} <= FLAGS.keys()
    assert {drop.reason for drop in dropped} <= DROPPED.keys()
    return items, dropped


def reasons(dropped: list[Dropped]) -> dict[str, int]:
    return dict(Counter(drop.reason for drop in dropped))


class TestFvqa:
    def test_a_row(self, tmp_path: Path) -> None:
        path = published.table(tmp_path / "fvqa_test.parquet", [published.fvqa_row(n) for n in range(3)])
        items, dropped = loaded("fvqa", path)
        assert not dropped
        first = items[0]
        assert first.item_id == "fvqa_test_0"
        assert first.question == "Which tower is number 0?"
        assert first.answers == ("The tower 0", "Tower 0", "T0")
        assert (first.image, first.image_suffix) == (published.picture(0), "jpg")
        assert (first.category, first.split) == ("", "test")

    @pytest.mark.parametrize("form", ["list", "struct", "plain"])
    def test_forms_of_images(self, tmp_path: Path, form: str) -> None:
        data = published.picture(1)
        image = {"list": [data], "struct": {"bytes": data, "path": None}, "plain": data}[form]
        path = published.table(tmp_path / "t.parquet", [published.fvqa_row(1, images=image)])
        assert loaded("fvqa", path)[0][0].image == data

    def test_a_system_message_is_no_question(self, tmp_path: Path) -> None:
        prompt = [{"content": "Be brief.", "role": "system"}, {"content": "What is it?", "role": "user"}]
        path = published.table(tmp_path / "t.parquet", [published.fvqa_row(1, prompt=prompt)])
        assert loaded("fvqa", path)[0][0].question == "What is it?"

    def test_what_is_dropped_says_why(self, tmp_path: Path) -> None:
        none = {"candidate_answers": "[]", "ground_truth": "", "style": "rule"}
        rows = [
            published.fvqa_row(0),
            published.fvqa_row(1, reward_model=none),
            published.fvqa_row(2, images=[{"bytes": b"no picture", "path": None}]),
            published.fvqa_row(3, images=[{"bytes": published.picture(3)[:300], "path": None}]),
            published.fvqa_row(4, prompt=[]),
        ]
        items, dropped = loaded("fvqa", published.table(tmp_path / "t.parquet", rows))
        assert len(items) + len(dropped) == 5
        assert reasons(dropped) == {"no_answer": 1, "image_unreadable": 2, "bad_row": 1}
        assert dropped[0].row_id == "fvqa_test_1"

    def test_an_id_given_twice_loses_no_question(self, tmp_path: Path) -> None:
        rows = [published.fvqa_row(0), published.fvqa_row(1, data_id="fvqa_test_0")]
        items, _ = loaded("fvqa", published.table(tmp_path / "t.parquet", rows))
        assert [item.item_id for item in items] == ["fvqa_test_0", "fvqa_test_0#2"]


class TestInfoSeek:
    def test_types_ranges_splits_and_entities(self, tmp_path: Path) -> None:
        items, dropped = loaded("infoseek", published.infoseek(tmp_path))
        assert reasons(dropped) == {"not_in_split": 1}
        text, number, time = items
        assert (text.answer_type, text.unseen, text.entity) == (AnswerType.STRING, "question", "Entity 0")
        assert text.answers == ("Spain", "Kingdom of Spain")
        assert (number.answer_type, number.answer_low, number.answer_high) == (AnswerType.NUMBER, 90.0, 110.0)
        assert (number.answers, number.unseen) == (("100",), "entity")
        assert time.answer_type is AnswerType.DATE
        assert [item.image for item in items[:2]] == [published.picture(0), published.picture(1)]

    @pytest.mark.parametrize(("split", "left"), [("val_unseen_question", 1), ("val_unseen_entity", 2)])
    def test_unseen_splits(self, tmp_path: Path, split: str, left: int) -> None:
        items, dropped = loaded("infoseek", published.infoseek(tmp_path), split)
        assert (len(items), reasons(dropped)) == (left, {"not_in_split": 4 - left})

    def test_pictures_in_a_tar(self, tmp_path: Path) -> None:
        path = published.infoseek(tmp_path)
        with tarfile.open(tmp_path / "shard01.tar", "w") as tar:
            tar.add(tmp_path / "oven_images", "oven_images")
        (tmp_path / "oven_images").rename(tmp_path / "elsewhere")
        with pytest.raises(BenchmarkError, match="OVEN"):
            load_benchmark("infoseek", str(path))
        (tmp_path / "shard01.tar").rename(tmp_path / "oven_images-01.tar")
        items, _ = loaded("infoseek", path)
        assert [item.image for item in items[:2]] == [published.picture(0), published.picture(1)]
        assert items[2].image_suffix == "png"

    def test_a_missing_picture_is_dropped(self, tmp_path: Path) -> None:
        path = published.infoseek(tmp_path)
        (tmp_path / "oven_images" / "oven_01963180.jpg").unlink()
        items, dropped = loaded("infoseek", path)
        assert (len(items), reasons(dropped)) == (2, {"image_unreadable": 1, "not_in_split": 1})

    def test_the_sample_that_peers_use(self, tmp_path: Path) -> None:
        path = published.table(tmp_path / "sub_2k.parquet", [published.fvqa_row(n) for n in range(2)])
        items, _ = loaded("infoseek", path, "test2k")
        assert [(item.unseen, item.flags) for item in items] == [("", ("sample_of_test",))] * 2


class TestSimpleVqa:
    def test_languages_and_base64(self, tmp_path: Path) -> None:
        rows = [published.simplevqa_row(1), published.simplevqa_row(2, "CN"), published.simplevqa_row(3, image="???")]
        path = published.table(tmp_path / "test.parquet", rows)
        items, dropped = loaded("simplevqa", path)
        assert [(item.item_id, item.language, item.category) for item in items] == [("1", "en", "ORS-Object")]
        assert items[0].image == published.picture(1)
        assert reasons(dropped) == {"not_in_split": 1, "image_unreadable": 1}
        chinese, _ = loaded("simplevqa", path, "zh")
        assert [(item.item_id, item.language) for item in chinese] == [("2", "zh")]
        assert len(loaded("simplevqa", path, "all")[0]) == 2


class TestMmSearch:
    def test_with_and_without_image(self, tmp_path: Path) -> None:
        rows = [published.mmsearch_row(n, pictured=n != 1) for n in range(3)]
        path = published.mmsearch(tmp_path / "end2end.parquet", rows)
        items, dropped = loaded("mmsearch", path)
        assert (len(items), reasons(dropped)) == (2, {"not_in_split": 1})
        assert items[0].answers == ("July 30", "30 July", "30th of July")
        assert (items[0].gold_query, items[0].category, items[0].subset) == ("opening date of 0", "news", "sports")
        every, _ = loaded("mmsearch", path, "all")
        assert [item.image is None for item in every] == [False, True, False]


class TestLiveVqa:
    def test_folders_levels_and_choices(self, tmp_path: Path) -> None:
        items, dropped = loaded("livevqa", published.livevqa(tmp_path))
        assert (len(items), dropped) == (12, [])
        assert Counter((item.subset, item.level) for item in items) == dict.fromkeys(
            [(subset, level) for subset in ("News", "Paper", "Video") for level in (1, 2)], 2
        )
        first = items[0]
        assert (first.choices, first.choice) == (("A. Camp Nou", "B. Signal Iduna Park"), "B")
        assert first.answers == ("Signal Iduna Park", "Westfalenstadion")
        assert first.image_path == "News/News_imgs/cnn_0.jpg"
        paper = next(item for item in items if item.subset == "Paper")
        assert (paper.category, paper.flags) == ("", ("generator_question_type",))

    @pytest.mark.parametrize("split", ["News", "Paper", "Video", "level1", "level2"])
    def test_splits(self, tmp_path: Path, split: str) -> None:
        items, dropped = loaded("livevqa", published.livevqa(tmp_path), split)
        assert len(items) + len(dropped) == 12
        assert {item.subset if split.istitle() else f"level{item.level}" for item in items} == {split}

    def test_the_older_file_among_the_pictures_is_not_read(self, tmp_path: Path) -> None:
        folder = published.livevqa(tmp_path)
        (folder / "News" / "News_imgs" / "benchmark.json").write_text("[{}]")
        assert len(loaded("livevqa", folder)[0]) == 12

    def test_a_row_without_a_level_is_dropped_as_one_question(self, tmp_path: Path) -> None:
        folder = published.livevqa(tmp_path)
        path = folder / "News" / "benchmark.json"
        rows = json.loads(path.read_text())
        rows[1]["level2_qa"] = None
        path.write_text(json.dumps(rows))
        items, dropped = loaded("livevqa", folder)
        assert (len(items), reasons(dropped)) == (11, {"bad_row": 1})
        assert dropped[0].row_id == "News/0_1/level2"

    def test_a_flat_table(self, tmp_path: Path) -> None:
        row = {
            "id": "7", "question": "Where?", "options": ["A. Rome", "B. Oslo"], "ground_truth": "B",
            "level": 2, "image": {"bytes": published.picture(7), "path": "7.jpg"},
        }  # fmt: skip
        items, _ = loaded("livevqa", published.table(tmp_path / "flat.parquet", [row]))
        assert [(item.answers, item.choice, item.level) for item in items] == [(("Oslo",), "B", 2)]


class TestDynVqa:
    @pytest.mark.parametrize("query", ["gloden_query", "golden_query"])
    def test_both_spellings_and_flags(self, tmp_path: Path, query: str) -> None:
        path = published.lines(tmp_path / "DynVQA_en.202502.jsonl", published.dynvqa_rows(query))
        items, dropped = loaded("dynvqa", path)
        assert not dropped
        assert [item.gold_query for item in items] == [f"name of child {n}" for n in range(3)]
        assert [item.flags for item in items] == [(), ("chinese_answers_only",), ()]
        assert items[1].answers == ("未知", "不确定")
        assert {(item.version, item.language) for item in items} == {("202502", "en")}
        assert [(item.image, bool(item.image_url)) for item in items] == [(None, True)] * 3

    def test_versions_side_by_side(self, tmp_path: Path) -> None:
        for name in ("DynVQA_en.202410.jsonl", "DynVQA_en.202412.jsonl", "DynVQA_zh.202412.jsonl"):
            published.lines(tmp_path / name, published.dynvqa_rows())
        out = [i for i in load_benchmark("dynvqa", str(tmp_path / "*.jsonl")) if isinstance(i, BenchItem)]
        assert Counter((item.version, item.language) for item in out) == {
            ("202410", "en"): 3, ("202412", "en"): 3, ("202412", "zh"): 3,
        }  # fmt: skip
        assert not any(item.flags for item in out if item.language == "zh")

    def test_pictures_through_a_fetcher(self, tmp_path: Path) -> None:
        def fetch(url: str) -> bytes:
            if url.endswith("_1.jpeg"):
                raise ImageError("ingest.image_unavailable", "timeout")
            return published.picture(5)

        path = published.lines(tmp_path / "DynVQA_en.202412.jsonl", published.dynvqa_rows())
        items, dropped = loaded("dynvqa", path, fetch=fetch)
        assert [item.image for item in items] == [published.picture(5)] * 2
        assert reasons(dropped) == {"image_unavailable": 1}


class TestAtlas:
    def test_the_held_out_world(self) -> None:
        out = list(load_benchmark("atlas"))
        items = [item for item in out if isinstance(item, BenchItem)]
        assert len(items) == len(out) == 200
        assert all(item.item_id.startswith("atlas-held-out") and item.image for item in items)


SMALL: dict[str, Callable[[Path, dict[str, str]], Path]] = {
    "fvqa": lambda p, names: published.table(p / "t.parquet", [_renamed(published.fvqa_row(0), names)]),
    "infoseek": lambda p, names: published.lines(
        p / "infoseek_val.jsonl", [_renamed(row, names) for row in published.infoseek_rows()]
    ),
    "simplevqa": lambda p, names: published.table(p / "t.parquet", [_renamed(published.simplevqa_row(0), names)]),
    "mmsearch": lambda p, names: published.mmsearch(p / "t.parquet", [_renamed(published.mmsearch_row(0), names)]),
    "dynvqa": lambda p, names: published.lines(
        p / "DynVQA_en.202412.jsonl", [_renamed(row, names) for row in published.dynvqa_rows()]
    ),
}


def _renamed(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in row.items()}


@pytest.mark.parametrize(
    ("name", "column"),
    [(name, needs[0]) for name in SMALL for needs in PUBLISHED[name].needs if len(needs) == 1 and "." not in needs[0]],
)
def test_a_renamed_column_is_refused_by_name(tmp_path: Path, name: str, column: str) -> None:
    path = SMALL[name](tmp_path, {column: f"{column}_v2"})
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(name, str(path), pictures=False)
    message = str(caught.value)
    assert f"{column!r}" in message
    assert f"is '{column}_v2' it, renamed?" in message
    assert "\n" not in message


def test_a_missing_nested_column_is_refused(tmp_path: Path) -> None:
    row = published.fvqa_row(0, reward_model={"answers": "x", "style": "rule"})
    with pytest.raises(BenchmarkError, match=r"reward_model\.ground_truth"):
        load_benchmark("fvqa", str(published.table(tmp_path / "t.parquet", [row])))


@pytest.mark.parametrize(
    ("name", "path", "split", "said"),
    [
        ("vqa", "", "", "no benchmark"),
        ("fvqa", "", "", "give the path"),
        ("fvqa", "nowhere.parquet", "", "no such file"),
        ("fvqa", "nowhere.parquet", "train", "no split"),
    ],
)
def test_wrong_use_is_one_line(name: str, path: str, split: str, said: str) -> None:
    with pytest.raises(BenchmarkError, match=said):
        load_benchmark(name, path, split)


def test_every_benchmark_says_what_it_is() -> None:
    assert set(BENCHMARKS) == PUBLISHED.keys() | {"atlas"}
    assert all(
        BENCHMARKS[name].name == name and BENCHMARKS[name].splits and BENCHMARKS[name].where for name in BENCHMARKS
    )


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


WHOLE = {
    "fvqa": published.fvqa_row(0),
    "infoseek": published.infoseek_rows()[1],
    "simplevqa": published.simplevqa_row(0),
    "mmsearch": published.mmsearch_row(0),
    "livevqa": published.livevqa_row(0, "News"),
    "dynvqa": published.dynvqa_rows()[0],
}


@pytest.mark.parametrize("name", sorted(WHOLE))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_adapters_never_raise_and_give_as_many_as_they_say(name: str, data: st.DataObject) -> None:
    whole = WHOLE[name]
    row = dict(whole)
    for column in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=4)):
        row[column] = data.draw(ODD)
    questions = PUBLISHED[name].adapt("News/benchmark.json", row)
    assert len(questions) == PUBLISHED[name].per_row
    assert all({"question", "answers", "image"} <= question.columns().keys() for question in questions)


REAL = os.environ.get("GOG_REAL_DATA", "")
needs_real = pytest.mark.skipif(not REAL, reason="GOG_REAL_DATA is not set")


@needs_real
class TestRealRows:
    def test_livevqa(self) -> None:
        items, dropped = loaded("livevqa", Path(REAL) / "livevqa")
        assert (len(items), dropped) == (92, [])
        assert Counter(item.subset for item in items) == {"News": 60, "Paper": 16, "Video": 16}
        assert all(item.choices and item.choice for item in items)

    def test_infoseek_rows_in_fvqas_schema(self) -> None:
        path = Path(REAL) / "infoseek" / "mmsearch_r1_mini_data.parquet"
        items, dropped = loaded("infoseek", path, "test2k")
        assert (len(items), dropped) == (5, [])
        assert items[0].answers[0] == "Spain"

    @pytest.mark.parametrize(("version", "flagged"), [("202410", 2), ("202412", 0), ("202502", 12)])
    def test_dynvqa(self, version: str, flagged: int) -> None:
        items, dropped = loaded("dynvqa", Path(REAL) / "dynvqa" / f"DynVQA_en.{version}.head40.jsonl")
        assert (len(items), dropped) == (40, [])
        assert sum("chinese_answers_only" in item.flags for item in items) == flagged
        assert all(item.gold_query and item.version == version for item in items)
