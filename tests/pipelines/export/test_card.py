import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gog.pipelines.export.card import dataset_card, escaped, hub_licences
from gog.pipelines.export.card_data import CardFacts, FunnelLine

FACTS = CardFacts(
    kind="sft",
    splits={"train": 1200, "validation": 40},
    datasets=[("news", "2", 1240)],
    licences={"CC-BY-4.0": 1240},
    languages={"en": 1200, "pt": 40},
    categories={"gaze": 1240},
    teachers={"qwen3-vl-235b": 1240},
    policies={},
    behaviours=[("rollout", "mixed", True, 310), ("rollout", "gaze", False, 930)],
    levels=[],
    engines={"detector": ["yolo"], "search": ["serper"], "judge": ["gpt"]},
    prompt_hashes={"episode/system": ["0123456789abcdef"]},
    funnel=[FunnelLine("ingest", "row", 2000, 1900, 100), FunnelLine("export_sft", "trajectory", 1250, 1240, 10)],
    reasons=[("ingest", "ingest.no_answer", 100), ("export_sft", "export.too_long", 10)],
    frame="per_mille",
)
HOSTILE = "</details><script>alert(1)</script> [x](javascript:y) | `z` **b** {{ 7*7 }}\n# head\x1b[31m\u202e"


def matter_of(card: str) -> dict[str, Any]:
    _, matter, _ = card.split("---\n", 2)
    loaded = yaml.safe_load(matter)
    assert isinstance(loaded, dict)
    return loaded


class TestCard:
    def test_says_what_the_facts_say(self) -> None:
        card = dataset_card(FACTS)
        for line in (
            "| train | 1,200 |",
            "| rollout | mixed | yes | 310 | 25.0% |",
            "| `ingest` | row | 2,000 | 1,900 | 100 |",
            "| `export_sft` | `export.too_long` | 10 |",
            "| teacher | `qwen3-vl-235b` | 1,240 |",
            "| judge | `gpt` | |",
            "| `CC-BY-4.0` | 1,240 |",
            "`episode/system` `0123456789abcdef`.",
        ):
            assert line in card.splitlines(), line

    def test_front_matter_is_what_the_hub_reads(self) -> None:
        matter = matter_of(dataset_card(FACTS))
        assert matter["license"] == "cc-by-4.0"
        assert matter["language"] == ["en", "pt"]
        assert matter["size_categories"] == ["1K<n<10K"]
        files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in ("train", "validation")]
        assert matter["configs"] == [{"config_name": "default", "data_files": files}]

    def test_a_split_without_rows_is_not_in_the_front_matter(self) -> None:
        matter = matter_of(dataset_card(replace(FACTS, splits={"train": 3})))
        assert [entry["split"] for entry in matter["configs"][0]["data_files"]] == ["train"]
        assert "configs" not in matter_of(dataset_card(replace(FACTS, splits={})))

    def test_the_planner_is_called_what_it_is(self) -> None:
        assert "rule-based" not in dataset_card(FACTS)
        for changed in (
            replace(FACTS, teachers={"planner:skill=0.85": 1}),
            replace(FACTS, kind="rl", teachers={}, policies={"planner:skill=0.5": 1}, levels=[(1, 5, 0.5)]),
        ):
            assert "**Made by a rule-based planner.**" in dataset_card(changed)

    def test_says_what_is_shared_with_benchmarks(self) -> None:
        assert "with a benchmark" not in dataset_card(FACTS)
        card = dataset_card(replace(FACTS, shared=[("answer", 1200), ("entity", 3)]))
        assert "- 1,200 rows share an answer with a benchmark" in card
        assert "- 3 rows share an entity with a benchmark" in card

    def test_rl_cards_have_levels(self) -> None:
        card = dataset_card(
            replace(FACTS, kind="rl", teachers={}, behaviours=[], policies={"sft-1": 9}, levels=[(1, 9, 0.52)])
        )
        assert "| 1 | 9 | 52.0% |" in card.splitlines()
        assert "`sft-1`" in card
        assert "Behaviours" not in card

    def test_attributes_the_bundled_world_only_where_it_is(self) -> None:
        assert "flag-icons" not in dataset_card(FACTS)
        assert "flag-icons" in dataset_card(replace(FACTS, datasets=[("atlas", "", 5)]))

    def test_foreign_text_is_shown_and_does_nothing(self) -> None:
        hostile = replace(
            FACTS,
            datasets=[(HOSTILE, HOSTILE, 1)],
            licences={HOSTILE: 1},
            languages={HOSTILE: 1},
            categories={HOSTILE: 1},
            teachers={HOSTILE: 1},
            behaviours=[(HOSTILE, HOSTILE, False, 1)],
            engines={"judge": [HOSTILE]},
            funnel=[FunnelLine(HOSTILE, HOSTILE, 1, 1, 0)],
            reasons=[(HOSTILE, HOSTILE, 1)],
            frame=HOSTILE,
        )
        card = dataset_card(hostile)
        assert matter_of(card)["license"] == ["other", "unknown"] or "other" in matter_of(card)["license"]
        body = card.split("---\n", 2)[2]
        outside_code = re.sub(r"`[^`\n]*`", "", body)
        assert not re.search(r"(?<!\\)<script", outside_code)
        assert not re.search(r"(?<!\\)\]\(javascript", outside_code)
        assert "49" not in body.replace("{{ 7*7 }}", "")
        assert not set("\x1b\u202e") & set(card)
        assert not re.search(r"^# head", body, re.MULTILINE)
        for line in body.splitlines():  # no cell is torn open
            if line.startswith("| teacher"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 4


class TestEscaping:
    @given(st.text(max_size=60))
    def test_is_one_line_without_bare_markup(self, text: str) -> None:
        done = escaped(text)
        assert "\n" not in done
        assert not re.search(r"(?<!\\)(?:\\\\)*[<>*_`|\[\]]", done)


class TestLicences:
    @pytest.mark.parametrize(
        ("licences", "names"),
        [
            ({"MIT AND ODbL-1.0": 1}, ["mit", "odbl"]),
            ({"mit": 1, "MIT": 2}, ["mit"]),
            ({"Apache-2.0 OR MIT": 1}, ["apache-2.0", "mit"]),
            ({"(MIT AND CC-BY-SA-4.0)": 1}, ["cc-by-sa-4.0", "mit"]),
            ({"CC BY 4.0": 1}, ["cc-by-4.0"]),
            ({"Getty Images": 1}, ["other"]),
            ({"": 3}, ["unknown"]),
            ({"": 3, "MIT": 1}, ["mit", "unknown"]),
            ({}, ["unknown"]),
        ],
    )
    def test_names_of_the_hub(self, licences: dict[str, int], names: list[str]) -> None:
        assert hub_licences(licences) == names

    def test_another_licence_is_named(self) -> None:
        matter = matter_of(dataset_card(replace(FACTS, licences={"Getty Images": 5})))
        assert (matter["license"], matter["license_name"]) == ("other", "Getty Images")
