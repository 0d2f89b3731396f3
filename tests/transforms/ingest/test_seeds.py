import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingesting import PNG, ingest, png, reject_of, row, seed_of

from gog.schemas import AnswerType, Reject
from gog.schemas.rows import check_row, from_row, to_row
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import Ingested, IngestLimits
from gog.transforms.sources.mapping import FieldMapping, MappingError, SourceRow, check_mapping


class TestMapping:
    def test_a_plain_row(self) -> None:
        result = ingest(row(), version="v1")
        assert isinstance(result, Ingested)
        seed = result.seed
        assert (seed.question, seed.answers, seed.dataset, seed.dataset_version) == ("Who?", ("Ada",), "test", "v1")
        assert (seed.width, seed.height, seed.image_sha256) == (40, 30, sha256_hex(PNG))
        assert [(kept.data, kept.suffix) for kept in result.pictures] == [(PNG, "png")]

    def test_ids_come_from_the_content_alone(self) -> None:
        one = seed_of(row(1, note="a"))
        assert seed_of(row(2, note="b")).seed_id == one.seed_id
        others = [row(question="Whom?"), row(answers=["Eve"]), row(image=png((1, 2, 3)))]
        assert len({one.seed_id, *(seed_of(other).seed_id for other in others)}) == 4

    def test_a_published_benchmark_with_dotted_columns(self) -> None:
        data = {
            "id": "0_345",
            "img_path": "a.jpg",
            "level1_qa": {"question": "Where is this match?", "Ground_Truth_List": ["Signal Iduna Park", "Westfalen"]},
            "source": "CNN Sport",
        }
        mapping = FieldMapping(
            question="level1_qa.question",
            answers=("level1_qa.Ground_Truth_List",),
            image="img_path",
            columns={"id": "id", "category": "source"},
            constants={"licence": "MIT"},
            extra=("source",),
        )
        seed = seed_of(SourceRow("b.json#1", data), mapping, read_image={"a.jpg": PNG}.__getitem__)
        assert seed.answers == ("Signal Iduna Park", "Westfalen")
        assert (seed.category, seed.licence) == ("CNN Sport", "MIT")
        assert seed.extra == {"source": "CNN Sport", "source_id": "0_345"}

    def test_a_published_training_set_with_lists_and_json_text(self) -> None:
        data = {
            "prompt": [{"content": "<image>\nWhat is it?", "role": "user"}],
            "images": [{"bytes": PNG, "path": None}],
            "reward_model": {"candidate_answers": '["Kingdom of Spain", "ES", "Spain"]', "ground_truth": "Spain"},
        }
        mapping = FieldMapping(
            question="prompt.0.content",
            answers=("reward_model.ground_truth", "reward_model.candidate_answers"),
            image="images",
        )
        seed = seed_of(SourceRow("x#1", data), mapping)
        assert seed.question == "What is it?"
        assert seed.answers == ("Spain", "Kingdom of Spain", "ES")

    @pytest.mark.parametrize(
        ("value", "answers"),
        [
            ("Ada", ("Ada",)),
            (" Ada ", ("Ada",)),
            (["Ada", "ada", "Ada", None, ""], ("Ada", "ada")),
            ([["a", "b"], "c"], ("a", "b", "c")),
            ('["a", 5]', ("a", "5")),
            ("[not json", ("[not json",)),
            (5, ("5",)),
            (5.0, ("5",)),
            (2.5, ("2.5",)),
            (True, ("yes",)),
        ],
    )
    def test_forms_of_answers(self, value: Any, answers: tuple[str, ...]) -> None:
        assert seed_of(row(answers=value)).answers == answers

    @pytest.mark.parametrize(
        "value",
        [PNG, [PNG], {"bytes": PNG, "path": "gone.png"}, "data:image/png;base64," + base64.b64encode(PNG).decode()],
    )
    def test_forms_of_images(self, value: Any) -> None:
        assert seed_of(row(image=value)).image_sha256 == sha256_hex(PNG)

    def test_base64_text(self) -> None:
        text = base64.encodebytes(PNG).decode()
        assert seed_of(row(image=text), FieldMapping(image_text="base64")).image_sha256 == sha256_hex(PNG)
        rejected = reject_of(row(image="&&&"), FieldMapping(image_text="base64"))
        assert rejected.reason == "ingest.image_unreadable"

    def test_types_and_ranges_of_answers(self) -> None:
        mapping = FieldMapping(
            columns={"answer_type": "kind", "answer_unit": "unit", "answer_low": "range.0", "answer_high": "range.1"}
        )
        seed = seed_of(row(kind="Numerical", unit="m", range=[1, "2.5"]), mapping)
        assert (seed.answer_type, seed.answer_unit, seed.answer_low, seed.answer_high) == (
            AnswerType.NUMBER,
            "m",
            1.0,
            2.5,
        )
        assert reject_of(row(kind="number", range=[3, 2]), mapping).reason == "ingest.bad_row"
        assert reject_of(row(kind="number", range=["many", 2]), mapping).reason == "ingest.bad_row"
        assert "location" in reject_of(row(kind="location"), mapping).detail

    def test_extra_is_json_without_nan(self) -> None:
        seed = seed_of(row(a={"b": [1, math.nan, "x"]}), FieldMapping(extra=("a", "gone")))
        assert seed.extra == {"a": {"b": [1, None, "x"]}}

    def test_a_column_with_dots_in_its_name(self) -> None:
        assert (
            seed_of(
                SourceRow("x#1", {"q.text": "Why?", "answers": "Ada", "image": PNG}), FieldMapping(question="q.text")
            ).question
            == "Why?"
        )

    def test_a_wrong_column_is_named_with_what_there_is(self) -> None:
        mapping = FieldMapping(question="qa.qestion")
        rows = [row(1, qa={"question": "Why?"}), row(2, qa={"question": "Why not?"})]
        with pytest.raises(MappingError, match=r"'qa\.qestion'.*qa\.question"):
            check_mapping(rows, mapping)
        rejected = reject_of(rows[0], mapping)
        assert rejected.reason == "ingest.bad_row"
        assert "'qa.qestion'" in rejected.detail
        assert "qa.question" in rejected.detail

    def test_a_column_that_some_rows_lack_is_no_error_of_the_mapping(self) -> None:
        rows, mapping = [row(1), row(2, who="Ada")], FieldMapping(columns={"entity": "who"})
        check_mapping(rows, mapping)
        assert [seed_of(each, mapping).entity for each in rows] == [None, "Ada"]

    def test_a_row_that_could_not_be_read_says_nothing_of_the_mapping(self) -> None:
        broken = SourceRow("x#1", {}, "broken")
        check_mapping([broken], FieldMapping())
        with pytest.raises(MappingError):
            check_mapping([broken, row(2)], FieldMapping(question="qestion"))

    def test_unknown_settings_are_refused(self) -> None:
        with pytest.raises(ValueError, match="quesion"):
            FieldMapping.model_validate({"quesion": "q"})
        with pytest.raises(ValueError, match="licens"):
            FieldMapping.model_validate({"columns": {"licens": "q"}})


class TestRejected:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ({"question": ""}, "ingest.bad_row"),
            ({"question": " \n\x00 "}, "ingest.bad_row"),
            ({"question": "<image>"}, "ingest.bad_row"),
            ({"question": None}, "ingest.bad_row"),
            ({"question": 5}, "ingest.bad_row"),
            ({"question": "x" * 4001}, "ingest.bad_row"),
            ({"question": "x" * 10_000_000}, "ingest.bad_row"),
            ({"question": "half \ud83d of a pair"}, "ingest.bad_row"),
            ({"answers": []}, "ingest.no_answer"),
            ({"answers": None}, "ingest.no_answer"),
            ({"answers": ["", None, math.nan]}, "ingest.no_answer"),
            ({"answers": "[]"}, "ingest.no_answer"),
            ({"answers": {"a": 1}}, "ingest.bad_row"),
            ({"answers": ["x" * 1001]}, "ingest.bad_row"),
            ({"answers": [str(n) for n in range(501)]}, "ingest.bad_row"),
            ({"answers": ["\udc00"]}, "ingest.bad_row"),
            ({"image": None}, "ingest.image_unreadable"),
            ({"image": b"<html>"}, "ingest.image_unreadable"),
            ({"image": {"bytes": None, "path": None}}, "ingest.image_unreadable"),
            ({"image": 7}, "ingest.bad_row"),
            ({"image": [PNG, PNG]}, "ingest.too_many_images"),
            ({"image": "https://example.org/a.png"}, "ingest.image_unreadable"),
            ({"image": "a.png"}, "ingest.image_unreadable"),
            ({"image": png(size=(1, 1))}, "ingest.image_tiny"),
            ({"image": png((250, 250, 250))}, "ingest.image_blank"),
        ],
    )
    def test_bad_rows(self, data: dict[str, Any], reason: str) -> None:
        assert reject_of(row(**data)).reason == reason

    @pytest.mark.parametrize("column", ["question", "answers", "image"])
    def test_missing_columns(self, column: str) -> None:
        data = {k: v for k, v in row().data.items() if k != column}
        rejected = reject_of(SourceRow("rows.jsonl#4", data))
        assert rejected.reason == "ingest.bad_row"
        assert f"'{column}'" in rejected.detail

    def test_a_row_that_could_not_be_read(self) -> None:
        rejected = reject_of(SourceRow("rows.jsonl#3", {"line": "{"}, "not JSON: line 1"))
        assert (rejected.reason, rejected.detail) == ("ingest.bad_row", "not JSON: line 1")
        assert json.loads(rejected.payload) == {"line": "{"}

    def test_licences(self) -> None:
        limits = IngestLimits(licences=("CC-BY-4.0",))
        mapping = FieldMapping(columns={"licence": "licence"})
        assert seed_of(row(licence="cc-by-4.0"), mapping, limits=limits).licence == "cc-by-4.0"
        for licence in ("CC-BY-NC-4.0", None):
            assert reject_of(row(licence=licence), mapping, limits=limits).reason == "ingest.licence"

    def test_the_payload_keeps_the_row_without_its_bytes(self) -> None:
        payload = json.loads(reject_of(row(answers=[], note="n" * 5000)).payload)
        assert payload["image"] == {"bytes": len(PNG), "sha256": sha256_hex(PNG)}
        assert payload["question"] == "Who?"
        assert len(payload["note"]) < 1100

    def test_a_deep_extra_column(self) -> None:
        deep: list[Any] = []
        for _ in range(200):
            deep = [deep]
        assert reject_of(row(a=deep), FieldMapping(extra=("a",))).reason == "ingest.bad_row"

    any_text = st.text(st.characters(exclude_categories=()), min_size=1)
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )

    @given(question=values, answers=values, image=values, entity=values, low=values)
    def test_any_row_is_a_seed_or_a_reject(
        self, question: Any, answers: Any, image: Any, entity: Any, low: Any
    ) -> None:
        source = row(question=question, answers=answers, image=image, who=entity, low=low)
        mapping = FieldMapping(columns={"entity": "who", "answer_low": "low"}, extra=("who",))
        result = ingest(source, mapping)
        assert isinstance(result, Ingested | Reject)

    @given(question=any_text, answer=any_text)
    def test_any_text_gives_a_storable_row(self, question: str, answer: str) -> None:
        result = ingest(row(question=question, answers=[answer]))
        table, record = ("seeds", result.seed) if isinstance(result, Ingested) else ("rejects", result)
        flat = to_row(record)
        check_row(table, flat)
        assert from_row(type(record), json.loads(json.dumps(flat, ensure_ascii=False).encode())) == record


class TestQuestions:
    def test_control_characters_leave(self) -> None:
        assert seed_of(row(question="Who\x00 is\x1b[31m \u202ethis\ufeff?")).question == "Who is[31m this?"

    @pytest.mark.parametrize(
        "token", ["<|im_start|>", "<|im_end|>", "<think>", "</answer>", "<tool_call>", "<|vision_start|>"]
    )
    def test_chat_template_tokens_are_broken_visibly(self, token: str) -> None:
        question = seed_of(row(question=f"Who? {token}system")).question
        assert token not in question
        assert "‹" in question
        assert question.endswith("system")

    def test_placeholders_of_trainers_leave(self) -> None:
        assert seed_of(row(question="<image>\nWho?<IMAGE>")).question == "Who?"

    def test_other_text_stays(self) -> None:
        text = "Is 3 < 5 | 中文 naïve 🇪🇸 <b>bold</b>?\nSecond line"
        assert seed_of(row(question=text)).question == text
