"""Filters: how the config names them, what they say, and what a broken one does."""

from pathlib import Path

import pytest
from plugged import installed
from pydantic import ValidationError
from verifying import make_seed

from gog.transforms.filters.use import FILTERS, Filter, FilterError, FilterUse, filters_after, refusal
from gog.transforms.open_set import OpenSet, UnknownMemberError

MODULE = """
from gog.transforms.filters.use import Filter
def no_memes(seed):
    return "a meme" if "meme" in seed.question else None
LATER = Filter("later", "verify", lambda seed, trajectory, verdict: None)
NUMBER = 3
"""


@pytest.fixture(autouse=True)
def _others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"gog.filters": {"no-memes": "my_filters:no_memes"}}, my_filters=MODULE)
    fresh: OpenSet[Filter] = OpenSet(FILTERS.kind, FILTERS.group, FILTERS.package, FILTERS.attribute)
    monkeypatch.setattr("gog.transforms.filters.use.FILTERS", fresh)
    filters_after.cache_clear()


def use(value: object) -> FilterUse:
    return FilterUse.model_validate(value)


def test_a_name_or_a_dotted_path_stands_alone_or_with_its_stage() -> None:
    assert (use("no-memes").filter.name, use("no-memes").filter.after) == ("no_memes", "ingest")
    assert use("my_filters:no_memes").filter.function(make_seed(question="Which meme?")) == "a meme"
    assert use({"use": "my_filters:no_memes", "after": "screen"}).filter.after == "screen"
    assert (use("my_filters:LATER").filter.name, use("my_filters:LATER").filter.after) == ("later", "verify")
    assert use("answer_in_question").filter.after == "ingest"
    with pytest.raises(ValidationError, match="after"):
        use({"use": "no-memes", "after": "lunch"})


def test_records_depend_on_name_stage_and_origin(tmp_path: Path) -> None:
    assert use("no-memes").identity == ("no_memes", "ingest", "gog-test-plugin 1.2")
    assert use("my_filters:no_memes").identity[2].startswith("my_filters ")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["none"], "there is no filter 'none'"),
        (["my_filters:NUMBER"], "is no function"),
        (["no-memes", "my_filters:no_memes"], "two filters are called 'no_memes'"),
    ],
)
def test_what_is_no_filter_is_told(names: list[str], why: str) -> None:
    with pytest.raises(UnknownMemberError, match=why):
        filters_after("ingest", tuple(map(use, names)))


def test_the_first_that_objects_is_heard() -> None:
    seed = make_seed()
    keep, drop = Filter("keep", "ingest", lambda seed: None), Filter("drop", "ingest", lambda seed: "ugly")
    assert refusal([keep], seed) is None
    assert refusal([keep, drop, drop], seed) == ("filter.drop", "ugly")


def test_a_broken_filter_is_named_and_drops_nothing() -> None:
    seed = make_seed()
    with pytest.raises(FilterError, match=f"'torn' failed on {seed.seed_id}: ZeroDivisionError"):
        refusal([Filter("torn", "ingest", lambda seed: str(1 // 0))], seed)
    with pytest.raises(FilterError, match="'yes' must return None or a text, not bool"):
        refusal([Filter("yes", "ingest", lambda seed: True)], seed)  # type: ignore[arg-type,return-value]
